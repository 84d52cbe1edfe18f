/* SPDX-License-Identifier: BSD-3-Clause
 *
 * SMO on a block, included by svm_ops.c; hx_smo in svm.h tells the problem.
 */
#include "svm_wide.h"

#define FINEST 1e-2     /* of eps: violations at which there is no more to be had for the gap */
#define NEW 96          /* positions that are worked on together, beside those between their bounds */
#define SPARE 64        /* and of these at least, if they are many */
#define PLAIN 8         /* share of the positions whose number of steps comes before conjugate ones */
#define FLAT 1e-6       /* share of a pair's curvature below which there is none */
#define SHORT 1e-3      /* share of a step that is not worth a direction */
#define LONG 256        /* conjugate directions after which a plain one renews K d */
#define ROUNDING 5e-16  /* relative, of sums */
#define MANY 4          /* steps for each position */
#define EVERY 8         /* steps from one look at the gap to the next */
#define LEVELS 128      /* of how much positions violate, where not all can be worked on */

/* `up` is 0 where b may grow and -inf elsewhere, `down` 0 where it may fall and inf elsewhere. */
typedef struct {
    double most, least;     /* f of what may grow, of what may fall */
    int64_t at;             /* where the most is */
} look;

/* The row of position i in the columns of a part: at [t] for position t. */
static inline const float *smo_row(const hx_smo *s, int64_t i, int part)
{
    const int of = i >= s->begin[1];
    return s->K[of][part] + (i - s->begin[of]) * s->stride[of][part] - s->begin[part];
}

/* What has been looked at so far, lane by lane; least is of -f. */
typedef struct {
    wide most, least;
    whole at;
} lanes;

static inline void look_at(lanes *L, wide f, wide up, wide down, whole here)
{
    const wide grows = f + up;
    const marks better = above(grows, L->most);
    L->most = pick(better, grows, L->most);
    L->at = pick_whole(better, here, L->at);
    L->least = higher(-f - down, L->least);
}

static look looked(const lanes *a, const lanes *b)
{
    const wide top = largest(higher(a->most, b->most));
    look out = {top[0], -largest(higher(a->least, b->least))[0], -1};
    if (out.most > -HUGE_VAL) {
        const int64_t i = least_of(equal(a->most, top), a->at);
        const int64_t j = least_of(equal(b->most, top), b->at);
        out.at = i < j ? i : j;
    }
    return out;
}

/* f of a part after a step that moves b by it at the row Ki, and by as much back at Kj. */
static look smo_look(const hx_smo *s, int part, double step, const float *Ki, const float *Kj)
{
    const lanes none = {filled(-HUGE_VAL), filled(-HUGE_VAL), {0}};
    lanes L[2] = {none, none};
    double *f = s->f;
    const double *up = s->up, *down = s->down;
    int64_t t = s->begin[part];
    const int64_t end = s->end[part];
    whole here = from(t);
    if (t == end) return (look){-HUGE_VAL, HUGE_VAL, -1};
    if (!Ki)
        for (; t < end; t += WIDE, here += WIDE) look_at(L, at(f + t), at(up + t), at(down + t), here);
#define MOVED(t) (at(f + (t)) - step * (doubles(Ki + (t)) - doubles(Kj + (t))))
    for (; t + WIDE < end; t += 2 * WIDE) {     /* two chains, which do not wait for each other */
        const wide x = MOVED(t), y = MOVED(t + WIDE);
        *(wide *)(f + t) = x;
        *(wide *)(f + t + WIDE) = y;
        look_at(L, x, at(up + t), at(down + t), here);
        here += WIDE;
        look_at(L + 1, y, at(up + t + WIDE), at(down + t + WIDE), here);
        here += WIDE;
    }
    if (t < end) {
        const wide x = MOVED(t);
        *(wide *)(f + t) = x;
        look_at(L, x, at(up + t), at(down + t), here);
    }
#undef MOVED
    return looked(L, L + 1);
}

/* The best partner of i that there is: the gain is (f_i - f_j)^2 / (K_ii + K_jj - 2 K_ij). */
typedef struct {
    double gain;
    int64_t at;
} partner;

/* The best ones so far, lane by lane, without a division for each that is compared. */
typedef struct {
    wide gain, size;
    whole at;
} partners;

static inline void compare(partners *P, wide gap, wide size, whole here)
{
    gap = higher(gap, filled(0));
    size = pick(above(size, filled(0)), size, filled(1e-12));
    const wide gain = gap * gap;
    const marks better = above(gain * P->size, P->gain * size);
    P->gain = pick(better, gain, P->gain);
    P->size = pick(better, size, P->size);
    P->at = pick_whole(better, here, P->at);
}

/* `inverse`: 1 / d'Kd of the last direction, to which the next one is to be conjugate, or 0. */
static inline __attribute__((always_inline)) void find_partner(
    const hx_smo *s, int part, int64_t i, double f_i, const int conjugate, double inverse,
    partner *best)
{
    const float *Ki = smo_row(s, i, part);
    const double K_ii = s->diag[i], *f = s->f, *down = s->down, *diag = s->diag, *Kd = s->Kd;
    const double Kd_i = conjugate ? Kd[i] : 0;
    const partners none = {{0}, filled(1), {0}};
    partners P[2] = {none, none};
    int64_t t = s->begin[part];
    const int64_t end = s->end[part];
    whole here = from(t);
    if (t == end) return;
#define COMPARE(P, t)                                                                             \
    do {                                                                                          \
        const wide gap = f_i - at(f + (t)) - at(down + (t));                                      \
        wide size = K_ii + at(diag + (t)) - 2 * doubles(Ki + (t));                                \
        if (conjugate) {                                                                          \
            const wide across = Kd_i - at(Kd + (t)), left = size - across * across * inverse;     \
            size = pick(above(left, FLAT * size), left, size);                                    \
        }                                                                                         \
        compare(P, gap, size, here);                                                              \
        here += WIDE;                                                                             \
    } while (0)
    for (; t + WIDE < end; t += 2 * WIDE) {     /* two chains, which do not wait for each other */
        COMPARE(P, t);
        COMPARE(P + 1, t + WIDE);
    }
    if (t < end) COMPARE(P, t);
#undef COMPARE
    const wide first = P[0].gain / P[0].size, second = P[1].gain / P[1].size;
    const wide top = largest(higher(first, second));
    if (top[0] > best->gain) {
        const int64_t a = least_of(equal(first, top), P[0].at);
        const int64_t b = least_of(equal(second, top), P[1].at);
        *best = (partner){top[0], a < b ? a : b};
    }
}

static void smo_partner(const hx_smo *s, int part, int64_t i, double f_i, double inverse,
                        partner *best)
{
    if (inverse > 0) find_partner(s, part, i, f_i, 1, inverse, best);
    else find_partner(s, part, i, f_i, 0, 0, best);
}

static inline void smo_ends(hx_smo *s, int64_t t)
{
    s->up[t] = s->b[t] < s->hi[t] ? 0 : -HUGE_VAL;
    s->down[t] = s->b[t] > s->lo[t] ? 0 : HUGE_VAL;
}

/* Violation of a part, or of both. */
static double smo_violation(const hx_smo *s, const look seen[2], int *from)
{
    if (s->apart) {
        *from = seen[1].most - seen[1].least > seen[0].most - seen[0].least;
        return seen[*from].most - seen[*from].least;
    }
    *from = seen[1].most > seen[0].most;
    return seen[*from].most - (seen[0].least < seen[1].least ? seen[0].least : seen[1].least);
}

static void smo_all_looks(hx_smo *s, look seen[2])
{
    int from;
    for (int g = 0; g < 2; g++) {
        for (int64_t t = s->begin[g]; t < s->end[g]; t++) smo_ends(s, t);
        seen[g] = smo_look(s, g, 0, NULL, NULL);
    }
    s->violation = smo_violation(s, seen, &from);
}

/* The least and the most f that tell the violation of a part. */
static inline void smo_range(const hx_smo *s, const look seen[2], int part, double *least,
                             double *most)
{
    *least = seen[part].least, *most = seen[part].most;
    if (s->apart) return;
    if (seen[1 - part].least < *least) *least = seen[1 - part].least;
    if (seen[1 - part].most > *most) *most = seen[1 - part].most;
}

/* Whether the gap for intercepts in the middle of the violation is small enough. */
static int smo_reached(const hx_smo *s, const look seen[2])
{
    wide sum = {0};
    for (int g = 0; g < 2; g++) {
        double least, most;
        smo_range(s, seen, g, &least, &most);
        if (most == -HUGE_VAL) most = least;
        if (least == HUGE_VAL) least = most;
        if (most - least != most - least) continue;     /* nothing can move */
        const double c = most / 2 + least / 2;
        for (int64_t t = s->begin[g]; t < s->end[g]; t += WIDE) {
            const wide x = at(s->f + t) - c;
            sum += x * (pick(above(x, filled(0)), at(s->hi + t), at(s->lo + t)) - at(s->b + t));
        }
    }
    double gap = 0;
    for (int v = 0; v < WIDE; v++) gap += sum[v];
    const double dual = fabs(s->objective), primal = fabs(s->objective + gap);
    return gap <= s->goal * (dual > primal ? dual : primal);
}

/* Whether the violation is small enough, and the gap: or there is no hope of it. */
static int smo_finished(const hx_smo *s, const look seen[2])
{
    return !(s->violation > s->eps)
        && (!(s->goal > 0) || !(s->violation > FINEST * s->eps) || smo_reached(s, seen));
}

/* K_ii + K_jj - 2 K_ij. */
static double smo_size(const hx_smo *s, int64_t i, int64_t j)
{
    const double a = s->diag[i] + s->diag[j] - 2 * (double)smo_row(s, i, j >= s->begin[1])[j];
    return a > 0 ? a : 1e-12;
}

/* Move b_i by the step and b_j by as much back, as far as bounds let them; what it came to. */
static double smo_pair(hx_smo *s, int64_t i, int64_t j, double step)
{
    const double room_i = s->hi[i] - s->b[i], room_j = s->b[j] - s->lo[j];
    if (step >= room_i || step >= room_j) {
        if (room_i <= room_j) {
            step = room_i;
            s->b[j] = room_i == room_j ? s->lo[j] : s->b[j] - step;
            s->b[i] = s->hi[i];
        } else {
            step = room_j;
            s->b[i] += step;
            s->b[j] = s->lo[j];
        }
    } else {
        s->b[i] += step;
        s->b[j] -= step;
    }
    smo_ends(s, i);
    smo_ends(s, j);
    return step;
}

/* ---- conjugate directions ------------------------------------------------------------------
 *
 * Where many steps are needed, as with a large C, the next direction is that of the pair plus `turn`
 * times the last direction d, with a turn that makes the two conjugate: d'K(e_i - e_j + turn d) = 0.
 * A direction that is cut short by a bound has no successor. Torres-Barran, Alaiz & Dorronsoro,
 * "Faster SVM training via conjugate SMO", Pattern Recognition 111, 2021. */

/* The turn, or 0 for the pair alone; and what the direction's curvature is with it. */
static double smo_turn(const hx_smo *s, int64_t i, int64_t j, double square, double *size)
{
    const double across = s->Kd[i] - s->Kd[j], turn = -across / square;
    const double left = *size - across * across / square;
    if (!(left > FLAT * *size) || !(fabs(turn) > 1e-8) || !(fabs(turn) < 1e8)
        || !(turn * s->d[i] > -1) || !(turn * s->d[j] < 1))
        return 0;
    *size = left;
    return turn;
}

/* Make d the direction, and the step such that bounds are kept; whether they cut it short. */
static int smo_direct(hx_smo *s, double turn, int64_t i, int64_t j, double *step)
{
    double *d = s->d;
    if (turn == 0) {
        memset(d, 0, (size_t)s->end[1] * sizeof(double));
        d[i] = 1;
        d[j] = -1;
        const double room_i = s->hi[i] - s->b[i], room_j = s->b[j] - s->lo[j];
        const double room = room_i < room_j ? room_i : room_j;
        if (*step < room) return 0;
        *step = room;
        return 1;
    }
    d[i] += 1 / turn;
    d[j] -= 1 / turn;
    wide over = filled(-HUGE_VAL);
    for (int64_t t = 0; t < s->end[1]; t += WIDE) {
        const wide x = turn * at(d + t), b = at(s->b + t) + *step * x;
        *(wide *)(d + t) = x;
        over = higher(over, higher(b - at(s->hi + t), at(s->lo + t) - b));
    }
    if (!(largest(over)[0] > 0)) return 0;
    for (int64_t t = 0; t < s->end[1]; t++) {
        if (d[t] == 0) continue;
        const double room = (d[t] > 0 ? s->hi[t] - s->b[t] : s->lo[t] - s->b[t]) / d[t];
        if (room < *step) *step = room;
    }
    if (*step < 0) *step = 0;
    return 1;
}

/* As smo_look, along d; Ki and Kj are the rows of the pair. */
static look smo_along(hx_smo *s, int part, double turn, double step, const float *Ki,
                      const float *Kj)
{
    lanes L = {filled(-HUGE_VAL), filled(-HUGE_VAL), {0}};
    const int64_t end = s->end[part];
    whole here = from(s->begin[part]);
    if (s->begin[part] == end) return (look){-HUGE_VAL, HUGE_VAL, -1};
    for (int64_t t = s->begin[part]; t < end; t += WIDE, here += WIDE) {
        const wide Kd = doubles(Ki + t) - doubles(Kj + t) + turn * at(s->Kd + t);
        const wide f = at(s->f + t) - step * Kd, x = step * at(s->d + t), y = at(s->b + t) + x;
        const wide hi = at(s->hi + t), lo = at(s->lo + t);
        const wide near = ROUNDING * (higher(x, -x) + higher(y, -y));
        const wide b = pick(above(near, hi - y), hi, pick(above(near, y - lo), lo, y));
        const wide up = pick(above(hi, b), filled(0), filled(-HUGE_VAL));
        const wide down = pick(above(b, lo), filled(0), filled(HUGE_VAL));
        *(wide *)(s->Kd + t) = Kd;
        *(wide *)(s->f + t) = f;
        *(wide *)(s->b + t) = b;
        *(wide *)(s->up + t) = up;
        *(wide *)(s->down + t) = down;
        look_at(&L, f, up, down, here);
    }
    return looked(&L, &L);
}

/* At most so many steps, all positions in each. */
static int64_t smo_steps(hx_smo *s, int64_t steps)
{
    look seen[2];
    int64_t done = 0, again = 0;    /* when the gap is looked at next */
    int conjugate = 0;
    int64_t length = 0;             /* conjugate directions one after the other */
    double square = 0;              /* d'Kd of the last one, if the next is to be conjugate to it */
    s->finished = 0;
    smo_all_looks(s, seen);
    for (;; done++) {
        int from;
        s->violation = smo_violation(s, seen, &from);
        if (!(s->violation > s->eps) && done >= again) {
            s->finished = smo_finished(s, seen);
            again = done + EVERY;
        }
        if (s->finished || done >= steps) break;
        const int64_t i = seen[from].at;
        partner best = {0, -1};
        for (int g = 0; g < 2; g++)
            if (!s->apart || g == from)
                smo_partner(s, g, i, seen[from].most, square > 0 ? 1 / square : 0, &best);
        const int64_t j = best.at;
        if (j < 0) break;
        if (!conjugate && done >= s->end[1] / PLAIN) {
            conjugate = 1;
            memset(s->Kd, 0, (size_t)s->end[1] * sizeof(double));
        }
        double step, turn = 0, size = smo_size(s, i, j);
        const double slope = s->f[i] - s->f[j];
        if (conjugate) {
            const double plain = size;
            if (square > 0) turn = smo_turn(s, i, j, square, &size);
            step = slope / size;
            int cut = smo_direct(s, turn, i, j, &step);
            if (turn != 0 && cut && step < SHORT * slope / size) {     /* a bound is in the way */
                turn = 0;
                size = plain;
                step = slope / size;
                cut = smo_direct(s, turn, i, j, &step);
            }
            square = cut || ++length >= LONG ? 0 : size;
            if (square == 0) length = 0;
        } else {
            step = smo_pair(s, i, j, slope / size);
        }
        s->objective += step * (slope - size * step / 2);
        for (int g = 0; g < 2; g++) {
            const float *Ki = smo_row(s, i, g), *Kj = smo_row(s, j, g);
            seen[g] = conjugate ? smo_along(s, g, turn, step, Ki, Kj)
                                : smo_look(s, g, step, Ki, Kj);
        }
    }
    return done;
}

/* How far f is above the least, of what may grow, or below the most, of what may fall, as a share of
 * the violation: less than 0 of what would better stay. Into s->up, which is free after a look. */
static void smo_urges(hx_smo *s, const look seen[2], int free_first)
{
    for (int g = 0; g < 2; g++) {
        double least, most;
        smo_range(s, seen, g, &least, &most);
        const double scale = most > least ? 1 / (most - least) : 0;
        for (int64_t t = s->begin[g]; t < s->end[g]; t += WIDE) {
            const wide f = at(s->f + t), up = at(s->up + t), down = at(s->down + t);
            wide urge = higher(f + up - least, most - f - down);
            urge = pick(above(urge, filled(-HUGE_VAL)), urge * scale, urge);
            if (!(scale > 0)) urge = filled(-1);
            if (free_first)     /* between the bounds: both are 0 */
                urge = pick(equal(up, down), filled(HUGE_VAL), urge);
            *(wide *)(s->up + t) = urge;
        }
    }
}

/* Positions between their bounds, and of the others those that violate most, up to `extra` of them
 * and up to s->most in all. Returns how many there are that violate, or might: all but those that
 * shrinking would leave out. */
static int64_t smo_choose(hx_smo *s, look seen[2], int64_t extra, int32_t *which, int64_t count[2])
{
    int64_t of_level[LEVELS], room, movable, amid, total = 0;
    for (int free_first = 1;; free_first = 0) {
        smo_urges(s, seen, free_first);
        memset(of_level, 0, sizeof of_level);
        movable = amid = 0;
        for (int64_t t = 0; t < s->end[1]; t++) {
            const double x = s->up[t];
            if (!(x >= 0)) continue;
            movable++;
            if (x == HUGE_VAL) amid++;
            else of_level[x < 1 ? (int)(x * LEVELS) : LEVELS - 1]++;
        }
        room = free_first && amid + extra < s->most ? amid + extra : s->most;
        if (amid + SPARE <= s->most || movable <= s->most || !free_first) break;
        smo_all_looks(s, seen);     /* too many between their bounds: they are like others */
    }
    int level = LEVELS;
    while (level > 0 && amid + of_level[level - 1] <= room) amid += of_level[--level];
    const double bound = level < LEVELS ? (double)level / LEVELS : HUGE_VAL;
    /* If that is none, many violate alike: some of them. */
    const int64_t limit = level < LEVELS ? 0 : (room - amid) / 4;
    for (int g = 0; g < 2; g++) {
        double least, most;
        int64_t ups = 0, downs = 0, before = total;
        smo_range(s, seen, g, &least, &most);
        for (int64_t t = s->begin[g]; t < s->end[g]; t++) {
            const double x = s->up[t];
            if (!(x >= bound)) {
                if (limit == 0 || !(x >= 1 - 1.0 / LEVELS)) continue;
                if (s->f[t] > least / 2 + most / 2 ? ups++ >= limit : downs++ >= limit) continue;
            }
            which[total++] = (int32_t)t;
        }
        count[g] = total - before;
    }
    return movable;
}

/* One of `every` positions, to begin with. */
static int64_t smo_sample(const hx_smo *s, int64_t every, int32_t *which, int64_t count[2])
{
    int64_t total = 0;
    for (int g = 0; g < 2; g++) {
        count[g] = 0;
        for (int64_t t = s->begin[g]; t < s->end[g]; t += every)
            if (s->lo[t] < s->hi[t]) {
                which[total++] = (int32_t)t;
                count[g]++;
            }
    }
    return total;
}

/* K of the positions chosen in part g, the columns of those in part h, into K of few. */
static void smo_part(const hx_smo *s, int g, int h, const int32_t *which, const int64_t count[2],
                     const hx_smo *few, float *restrict K)
{
    const int32_t *rows = which + g * count[0], *columns = which + h * count[0];
    const int64_t ld = few->end[1];
    float *restrict to = K + few->begin[g] * ld + few->begin[h];
    for (int64_t a = 0; a < count[g]; a++) {
        const float *row = smo_row(s, rows[a], h);
        for (int64_t c = 0; c < count[h]; c++) to[a * ld + c] = row[columns[c]];
    }
}

static void smo_block(const hx_smo *s, const int32_t *which, const int64_t count[2],
                      const hx_smo *few, float *K)
{
    for (int g = 0; g < 2; g++)
        for (int h = 0; h < 2; h++) smo_part(s, g, h, which, count, few, K);
}

/* Some positions, in ascending order, with what steps on them take together in one place. */
typedef struct {
    hx_smo job;
    int32_t *which;
    int64_t count[2], split, ld;
} subset;

static inline int64_t subset_at(const subset *few, int64_t k)
{
    return k < few->count[0] ? k : few->split + k - few->count[0];
}

static void smo_take(const hx_smo *s, subset *few)
{
    hx_smo *job = &few->job;
    few->split = (few->count[0] + 7) / 8 * 8;
    few->ld = few->split + (few->count[1] + 7) / 8 * 8;
    double *arrays[9];
    for (int k = 0; k < 9; k++) {
        arrays[k] = s->room + k * s->end[1];
        memset(arrays[k], 0, (size_t)few->ld * sizeof(double));
    }
    double *lo = arrays[2], *hi = arrays[3], *diag = arrays[4];
    *job = *s;
    job->f = arrays[0], job->b = arrays[1], job->lo = lo, job->hi = hi, job->diag = diag;
    job->up = arrays[5], job->down = arrays[6], job->d = arrays[7], job->Kd = arrays[8];
    job->begin[0] = 0, job->end[0] = job->begin[1] = few->split, job->end[1] = few->ld;
    for (int64_t k = 0; k < few->count[0] + few->count[1]; k++) {
        const int64_t t = few->which[k], at = subset_at(few, k);
        lo[at] = s->lo[t];
        hi[at] = s->hi[t];
        diag[at] = s->diag[t];
    }
    (s->block ? s->block : smo_block)(s, few->which, few->count, job, s->few);
    if (!s->apart) job->end[0] = job->begin[1] = few->ld;   /* one part is as good as two */
    for (int g = 0; g < 2; g++)
        for (int h = 0; h < 2; h++) {
            job->K[g][h] = s->few + job->begin[g] * few->ld + job->begin[h];
            job->stride[g][h] = few->ld;
        }
}

/* Steps on some positions; then f of all gets the rows of those that moved. `complete`: there are no
 * others that violate, so that their gap is that of all. */
static int64_t smo_on_few(hx_smo *s, subset *few, int32_t *moved, double eps, int complete,
                          int64_t steps)
{
    hx_smo *job = &few->job;
    const int64_t total = few->count[0] + few->count[1];
    int64_t count = 0;
    for (int64_t k = 0; k < total; k++) {
        const int64_t t = few->which[k], at = subset_at(few, k);
        job->f[at] = s->f[t];
        job->b[at] = s->b[t];
    }
    job->eps = eps, job->objective = s->objective;
    job->goal = complete && eps == s->eps ? s->goal : 0;
    const int64_t done = smo_steps(job, steps);
    s->objective = job->objective;
    double *change = job->up;       /* not needed any more */
    for (int64_t k = 0; k < total; k++) {
        const int64_t t = few->which[k];
        const double b = job->b[subset_at(few, k)];
        if (b == s->b[t]) continue;
        change[count] = s->b[t] - b;
        moved[count++] = (int32_t)t;
        s->b[t] = b;
    }
    if (s->ready) s->ready(s, moved, count);
    for (int h = 0; h < 2; h++)
        for (int64_t r = 0; r < count; r += 64) {
            const float *rows[64];
            const int64_t n = count - r < 64 ? count - r : 64;
            for (int64_t k = 0; k < n; k++) rows[k] = smo_row(s, moved[r + k], h) + s->begin[h];
            add_f32(rows, change + r, n, s->end[h] - s->begin[h], s->f + s->begin[h]);
        }
    return done;
}

/* A tenth of the violation, or what is wanted. */
static double smo_next(const hx_smo *s)
{
    return 0.1 * s->violation < 3 * s->eps ? s->eps : 0.1 * s->violation;
}

/* Whether all of `wanted` are among `set`, and at least half of it; both ascend. */
static int smo_within(const int32_t *wanted, int64_t count, const int32_t *set, int64_t of)
{
    int64_t k = 0;
    if (2 * count < of || count > of) return 0;
    for (int64_t i = 0; i < count; i++, k++) {
        while (k < of && set[k] < wanted[i]) k++;
        if (k == of || set[k] != wanted[i]) return 0;
    }
    return 1;
}

/* Rounds on those that violate most, after `done` steps: few rows of K are needed for them. */
static int64_t smo_by_rounds(hx_smo *s, int cold, int64_t done)
{
    int64_t count[2];
    look seen[2];
    subset few = {.which = s->which};
    int32_t *chosen = s->which + s->end[1];
    for (;; cold = 0) {
        smo_all_looks(s, seen);
        s->finished = smo_finished(s, seen);
        if (s->finished || done >= s->steps) return done;
        int complete = 0;
        if (!(cold && smo_sample(s, 12, chosen, count) <= s->most))
            complete = smo_choose(s, seen, NEW, chosen, count) <= count[0] + count[1];
        if (!smo_within(chosen, count[0] + count[1], few.which, few.count[0] + few.count[1])) {
            memcpy(few.which, chosen, (size_t)(count[0] + count[1]) * sizeof *chosen);
            few.count[0] = count[0], few.count[1] = count[1];
            smo_take(s, &few);
        }
        const int64_t now = smo_on_few(s, &few, chosen, smo_next(s), complete, s->steps - done);
        if (now == 0) return done;
        done += now;
    }
}

/* With all of K: some steps on all positions in turn with many on those that may still move, once
 * these are few. Where steps come to be many, the copies of K that rounds make are worth their time. */
static int64_t smo_dense(hx_smo *s, int cold)
{
    const int64_t burst = s->end[1] / 16 + 16;
    int64_t done = 0;
    look seen[2];
    subset few = {.which = s->which};
    int32_t *moved = s->which + s->end[1];
    if (cold && smo_sample(s, 4, few.which, few.count) <= s->most) {
        smo_take(s, &few);
        done += smo_on_few(s, &few, moved, s->eps > 0.1 ? s->eps : 0.1, 0, s->steps);
    }
    for (;;) {
        const int64_t left = s->steps - done, now = smo_steps(s, left < burst ? left : burst);
        done += now;
        if (s->finished || done >= s->steps || now == 0) return done;
        if (done > MANY * s->end[1]) return smo_by_rounds(s, 0, done);
        smo_all_looks(s, seen);
        const int64_t movable = smo_choose(s, seen, s->most, few.which, few.count);
        if (movable <= s->most && movable + 16 <= s->end[1] / 2) {
            smo_take(s, &few);
            done += smo_on_few(s, &few, moved, smo_next(s), 1, s->steps - done);
        }
    }
}

static int64_t smo(hx_smo *s)
{
    int cold = s->end[1] >= 256;
    for (int64_t t = 0; t < s->end[1] && cold; t++) cold = s->b[t] == 0;
    return s->block ? smo_by_rounds(s, cold, 0) : smo_dense(s, cold);
}
