/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What one row means for a joint multiclass SVM: its gradient, and the exact optimum of its duals.
 *
 *     max_a  c.a - D/2 sum_m a_m^2 - h/2 (sum_m a_m)^2,    0 <= a_m <= upper,  sum_m a_m <= cap
 *
 * with D >= 0, D + h count > 0 unless all of it is 0, and upper or cap, or both, infinite. The
 * conditions of optimality are a_m = clip((c_m - theta) / D, 0, upper), theta = h sum_m a_m + mu
 * with a multiplier mu >= 0 of the cap: one equation in sum_m a_m, or in theta where the cap is
 * reached, whose sides are piecewise linear and monotone.
 *
 * Compiled once per instruction set; see joint_kernels.c.
 */
#ifndef HX_JOINT_STEP_H
#define HX_JOINT_STEP_H

#include <math.h>
#include <stdint.h>

/* Sums over the classes at a given theta: c of those inside their bounds, and how many there are
 * inside and at the upper bound. */
typedef struct hx_joint_sums {
    double c, inside, above;
} hx_joint_sums;

static inline hx_joint_sums hx_joint_at(const double *restrict c, int64_t count, double theta,
                                        double top)
{
    double s[4] = {0}, in[4] = {0}, up[4] = {0};
    int64_t m = 0;
    for (; m + 4 <= count; m += 4)
        for (int t = 0; t < 4; t++) {
            const double x = c[m + t] - theta;
            const double is_up = x >= top ? 1.0 : 0.0, is_in = x > 0 ? 1.0 - is_up : 0.0;
            s[t] += is_in * c[m + t];
            in[t] += is_in;
            up[t] += is_up;
        }
    for (; m < count; m++) {
        const double x = c[m] - theta;
        const double is_up = x >= top ? 1.0 : 0.0, is_in = x > 0 ? 1.0 - is_up : 0.0;
        s[0] += is_in * c[m];
        in[0] += is_in;
        up[0] += is_up;
    }
    const hx_joint_sums out = {(s[0] + s[1]) + (s[2] + s[3]), (in[0] + in[1]) + (in[2] + in[3]),
                               (up[0] + up[1]) + (up[2] + up[3])};
    return out;
}

/* The optimum without curvature in single duals (a row of zeros); D = 0. */
static inline double hx_joint_flat(const double *c, double *a, int64_t count, double h,
                                   double upper, double cap)
{
    double most = -HUGE_VAL, ties = 0, total;
    for (int64_t m = 0; m < count; m++) most = c[m] > most ? c[m] : most;
    if (cap == HUGE_VAL && upper < HUGE_VAL) {
        for (int64_t m = 0; m < count; m++) a[m] = c[m] > 0 ? upper : 0;
        return 0;
    }
    for (int64_t m = 0; m < count; m++) ties += c[m] == most;
    total = h > 0 && most < h * cap ? most / h : cap;
    if (!(most > 0)) total = 0;
    for (int64_t m = 0; m < count; m++) a[m] = c[m] == most ? total / ties : 0;
    return most;
}

enum { HX_JOINT_STEPS = 100 };

/* The optimal a, and theta. `guess` is where to begin to look for sum_m a_m.
 *
 * Newton's method on F(s) = sum_m clip(c_m - h s, 0, D upper) - D s, which falls, kept inside a
 * bracket; a step of it that ends on the piece of F where it began has found the root. With a cap alone
 * the equation in theta is convex, and Newton's method from the left comes to the root in as many
 * steps as pieces are left behind. O(count) per step, a few steps. */
static inline double hx_joint_solve_body(const double *restrict c, double *restrict a,
                                         int64_t count, double D, double h, double upper,
                                         double cap, double guess)
{
    double most = 0;
    for (int64_t m = 0; m < count; m++) most = c[m] > most ? c[m] : most;
    const double reach = upper < cap ? upper : cap;
    if (D == 0 || (reach < HUGE_VAL && D * reach <= 1e-13 * most && fabs(h) * reach <= 1e-13 * most))
        return hx_joint_flat(c, a, count, D == 0 ? h : 0, upper, cap);
    const double top = D * upper;
    double lo = -1, hi = HUGE_VAL, s = guess > 0 ? guess : 0, theta, total = 0;
    hx_joint_sums last = {0, -1, -1};
    int newton = 0;
    for (int step = 0; step < HX_JOINT_STEPS; step++) {
        const hx_joint_sums now = hx_joint_at(c, count, h * s, top);
        const double next = (now.c + (now.above > 0 ? now.above * top : 0)) / (D + h * now.inside);
        if (newton && now.inside == last.inside && now.above == last.above) {
            s = next;
            break;
        }
        last = now;
        if (next == s) break;
        if (next > s) lo = s; else hi = s;
        /* Newton's method alone may go back and forth between two pieces. */
        newton = next > lo && next < hi;
        s = newton ? next : 0.5 * (lo + hi);
        if (hi < HUGE_VAL && hi - lo <= 1e-16 * hi) break;
    }
    theta = h * s;
    const int capped = s > cap;
    if (capped) {
        theta = h * cap;
        for (int64_t step = 0; step < count + HX_JOINT_STEPS; step++) {
            const hx_joint_sums now = hx_joint_at(c, count, theta, HUGE_VAL);
            if (now.inside == 0) break;
            const double next = (now.c - D * cap) / now.inside;
            if (!(next > theta)) break;
            theta = next;
        }
    }
    for (int64_t m = 0; m < count; m++) {
        const double x = c[m] - theta;
        a[m] = x >= top ? upper : (x > 0 ? x / D : 0.0);
        total += a[m];
    }
    /* Where D is small beside h, differences to theta have lost digits that the sum has not. */
    if (upper == HUGE_VAL && total > 0) {
        const double share = (capped ? cap : s) / total;
        for (int64_t m = 0; m < count; m++) a[m] *= share;
    }
    return theta;
}

/* g[m] = margin + f[m] + b[m] (relative: less f[y] + b[y]), -inf for m = y. Returns the largest;
 * sums: of max(0, g) and of its square. */
#define HX_DEFINE_JOINT_LOOK(T, WS)                                                               \
    static inline double hx_joint_look_body_##WS(const T *restrict f, const double *restrict b,   \
                                                 int64_t count, int64_t y, double margin,         \
                                                 int relative, double *restrict g, double *sums)  \
    {                                                                                             \
        double most[4] = {-HUGE_VAL, -HUGE_VAL, -HUGE_VAL, -HUGE_VAL}, s[4] = {0}, q[4] = {0};    \
        const double own = (double)f[y] + b[y], from = relative ? margin - own : margin;          \
        int64_t m = 0;                                                                            \
        for (; m + 4 <= count; m += 4)                                                            \
            for (int t = 0; t < 4; t++) {                                                         \
                const double x = from + ((double)f[m + t] + b[m + t]), u = x > 0 ? x : 0.0;       \
                g[m + t] = x;                                                                     \
                s[t] += u;                                                                        \
                q[t] += u * u;                                                                    \
            }                                                                                     \
        for (; m < count; m++) {                                                                  \
            const double x = from + ((double)f[m] + b[m]), u = x > 0 ? x : 0.0;                   \
            g[m] = x;                                                                             \
            s[0] += u;                                                                            \
            q[0] += u * u;                                                                        \
        }                                                                                         \
        const double mine = g[y] > 0 ? g[y] : 0.0;                                                \
        g[y] = -HUGE_VAL;                                                                         \
        for (m = 0; m + 4 <= count; m += 4)                                                       \
            for (int t = 0; t < 4; t++) most[t] = g[m + t] > most[t] ? g[m + t] : most[t];        \
        for (; m < count; m++) most[0] = g[m] > most[0] ? g[m] : most[0];                         \
        sums[0] = ((s[0] + s[1]) + (s[2] + s[3])) - mine;                                         \
        sums[1] = ((q[0] + q[1]) + (q[2] + q[3])) - mine * mine;                                  \
        for (int t = 1; t < 4; t++) most[0] = most[t] > most[0] ? most[t] : most[0];              \
        return own == own ? most[0] : own;                                                        \
    }

HX_DEFINE_JOINT_LOOK(double, w64)
HX_DEFINE_JOINT_LOOK(float, w32)

#endif
