/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Binary labels of the nodes of a graph: the best output where neighbours attract each other, by a
 * minimum cut, and else the best half-integral one, which is the optimum of the linear relaxation
 * (roof duality: P. L. Hammer, P. Hansen, B. Simeone, "Roof duality, complementation and
 * persistency in quadratic 0-1 optimization", Mathematical Programming 28, 1984; V. Kolmogorov,
 * C. Rother, "Minimizing nonsubmodular functions with graph cuts - a review", PAMI 29, 2007).
 * Maximum flow by E. Dinic's algorithm (Soviet Math. Doklady 11, 1970): blocking flows in the
 * layers of a breadth-first search.
 */
#ifndef HX_CUT_H
#define HX_CUT_H

#include <stdint.h>
#include <string.h>

typedef struct {
    int64_t nodes, arcs;        /* so far; arcs in pairs, 2k and 2k + 1 against each other */
    int32_t *head;              /* (nodes) last arc that leaves a node, or -1 */
    int32_t *at;                /* (nodes) the next one to try */
    int32_t *level;             /* (nodes) */
    int32_t *queue;             /* (nodes) */
    int32_t *path;              /* (nodes) arcs of the way from the source */
    int32_t *to;                /* (arcs) */
    int32_t *next;              /* (arcs) */
    double *left;               /* (arcs) capacity */
} hx_flow;

static inline void hx_flow_start(hx_flow *g, int64_t nodes)
{
    g->nodes = nodes;
    g->arcs = 0;
    for (int64_t i = 0; i < nodes; i++) g->head[i] = -1;
}

/* An arc from a to b and one back, of these capacities (not negative). */
static inline void hx_flow_arc(hx_flow *g, int64_t a, int64_t b, double there, double back)
{
    const int64_t ends[2] = {a, b};
    const double capacity[2] = {there, back};
    for (int k = 0; k < 2; k++) {
        g->to[g->arcs] = (int32_t)ends[1 - k];
        g->left[g->arcs] = capacity[k];
        g->next[g->arcs] = g->head[ends[k]];
        g->head[ends[k]] = (int32_t)g->arcs++;
    }
}

/* Layers by distance from the source; whether the sink was reached. */
static inline int hx_flow_layers(hx_flow *g, int32_t source, int32_t sink)
{
    int64_t first = 0, last = 0;
    for (int64_t i = 0; i < g->nodes; i++) g->level[i] = -1;
    g->level[source] = 0;
    g->queue[last++] = source;
    while (first < last) {
        const int32_t node = g->queue[first++];
        for (int32_t e = g->head[node]; e >= 0; e = g->next[e])
            if (g->left[e] > 0 && g->level[g->to[e]] < 0) {
                g->level[g->to[e]] = g->level[node] + 1;
                g->queue[last++] = g->to[e];
            }
    }
    return g->level[sink] >= 0;
}

/* After it level[i] >= 0 are the nodes on the source's side of a minimum cut. */
static inline void hx_flow_solve(hx_flow *g, int32_t source, int32_t sink)
{
    while (hx_flow_layers(g, source, sink)) {
        memcpy(g->at, g->head, (size_t)g->nodes * sizeof *g->at);
        int64_t depth = 0;
        int32_t node = source;
        for (;;) {
            if (node == sink) {
                double most = g->left[g->path[0]];
                for (int64_t k = 1; k < depth; k++)
                    if (g->left[g->path[k]] < most) most = g->left[g->path[k]];
                int64_t full = depth;
                for (int64_t k = depth - 1; k >= 0; k--) {
                    const int32_t e = g->path[k];
                    g->left[e] -= most;
                    g->left[e ^ 1] += most;
                    if (!(g->left[e] > 0)) full = k;
                }
                depth = full;   /* back to where the first full arc began */
                node = g->to[g->path[depth] ^ 1];
                continue;
            }
            int32_t e = g->at[node];
            while (e >= 0 && !(g->left[e] > 0 && g->level[g->to[e]] == g->level[node] + 1))
                e = g->next[e];
            g->at[node] = e;
            if (e >= 0) {
                g->path[depth++] = e;
                node = g->to[e];
                continue;
            }
            if (depth == 0) break;
            g->level[node] = -2;        /* no way to the sink from here */
            node = g->to[g->path[--depth] ^ 1];
            g->at[node] = g->next[g->at[node]];
        }
    }
}

#define HX_HALF 2

/* Labels in the place of halves, as good as changes of single ones make them. `one` is what a label
 * 1 adds besides its edges, J an edge of two of them. */
static inline void hx_round(const hx_flow *g, int64_t nodes, const double *one, double J,
                            int32_t *y)
{
    int moved = 1;
    for (int64_t i = 0; i < nodes; i++)
        if (y[i] == HX_HALF) y[i] = -1;         /* -1, -2: to be chosen, now 0 or 1 */
    for (int sweep = 0; moved && sweep < 100; sweep++) {
        moved = 0;
        for (int64_t i = 0; i < nodes; i++) {
            if (y[i] >= 0) continue;
            double gain = one[i];
            for (int32_t e = g->head[i]; e >= 0; e = g->next[e]) {
                const int64_t b = g->to[e] - nodes;     /* the copy of a neighbour */
                if (b >= 0 && b < nodes && (y[b] == 1 || y[b] == -2)) gain += J;
            }
            const int32_t now = gain > 0 ? -2 : -1;
            moved |= now != y[i];
            y[i] = now;
        }
    }
    for (int64_t i = 0; i < nodes; i++)
        if (y[i] < 0) y[i] = y[i] == -2;
}

/* y maximises sum_i u[i ld + y_i] + sum over edges (a, b) of p[y_a ld + y_b] over y_i = 0, 1. Of two
 * halves an edge has the better of both ways to be, same[e]: agreement. `flow` is for 2 nodes + 2
 * nodes and 8 nodes + 4 edges arcs; `one` for as many numbers as nodes. Unless `whole` there may be
 * halves, and the maximum is that of the relaxation. */
static inline void hx_cut(hx_flow *g, const double *u, int64_t nodes, int64_t ld,
                         const int32_t *edges, int64_t count, const double *p, double *one,
                         int whole, int32_t *y, int32_t *same)
{
    /* p(a, b) = const + a (p10 - p00) + b (p01 - p00) + a b J */
    const double J = (p[0] + p[ld + 1]) - (p[1] + p[ld]);
    const int cut = J >= 0;
    const int64_t copies = cut ? 1 : 2, source = copies * nodes, sink = source + 1;
    const double strength = cut ? J : -J;
    for (int64_t i = 0; i < nodes; i++) one[i] = u[i * ld + 1] - u[i * ld];
    for (int64_t e = 0; e < count; e++) {
        one[edges[2 * e]] += p[ld] - p[0];
        one[edges[2 * e + 1]] += p[1] - p[0];
    }
    /* a b = (a + b - |a - b|) / 2 = (a + b - 1 + |a - (1 - b)|) / 2: with J > 0 edges ask a and b
     * to agree, else a and 1 - b. */
    for (int64_t e = 0; e < count; e++) {
        one[edges[2 * e]] += J / 2;
        one[edges[2 * e + 1]] += J / 2;
    }
    hx_flow_start(g, sink + 1);
    for (int64_t i = 0; i < nodes; i++) {
        const double pull = one[i] > 0 ? one[i] : 0, push = one[i] < 0 ? -one[i] : 0;
        hx_flow_arc(g, source, i, pull, 0);
        hx_flow_arc(g, i, sink, push, 0);
        if (!cut) {
            hx_flow_arc(g, source, nodes + i, push, 0);
            hx_flow_arc(g, nodes + i, sink, pull, 0);
        }
    }
    for (int64_t e = 0; e < count; e++) {
        const int64_t a = edges[2 * e], b = edges[2 * e + 1];
        if (cut) {
            hx_flow_arc(g, a, b, strength / 2, strength / 2);
        } else {
            hx_flow_arc(g, a, nodes + b, strength / 2, strength / 2);
            hx_flow_arc(g, b, nodes + a, strength / 2, strength / 2);
        }
    }
    hx_flow_solve(g, (int32_t)source, (int32_t)sink);
    int halves = 0;
    for (int64_t i = 0; i < nodes; i++) {
        const int on = g->level[i] >= 0, off = cut ? !on : g->level[nodes + i] >= 0;
        y[i] = on == off ? HX_HALF : on;
        halves |= on == off;
    }
    if (halves && whole) {
        for (int64_t e = 0; e < count; e++) {
            one[edges[2 * e]] -= J / 2;
            one[edges[2 * e + 1]] -= J / 2;
        }
        hx_round(g, nodes, one, J, y);
    }
    const int32_t agree = p[0] + p[ld + 1] >= p[1] + p[ld];
    for (int64_t e = 0; e < count; e++) same[e] = agree;
}

#endif
