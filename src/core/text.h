/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Documents in UTF-8 to counted terms. A document goes through these steps, none of which makes
 * an object per token:
 *
 *   hx_lower      lower case; one bit per byte tells what belongs to a word (16 bytes at a time)
 *   hx_runs       the bits to starts and ends of words
 *   hx_join       words without stop words, one blank between them: an n-gram is a piece of that
 *   hx_chars_of   for n-grams of characters: white space made simple, starts of characters
 *   hx_put        a term to its number (a table that grows, or one that is fixed) or to its hash
 *
 * Terms wait in blocks of HX_BLOCK, so that the cache lines of their slots, entries and counters are on
 * their way before they are needed. A row is a list of keys: number or column in the upper 32
 * bits, count in the lower ones.
 */
#ifndef HX_TEXT_H
#define HX_TEXT_H

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif
#if defined(_MSC_VER)
#include <intrin.h>
#endif

#define HX_BLOCK 32
#define HX_SLACK 64         /* bytes that may be read and written behind a text */

enum { HX_WORD, HX_CHAR, HX_CHAR_WB };          /* what terms are made of */
enum { HX_GROW, HX_FIND, HX_HASH };             /* how they are numbered */
/* What a document is: text, text in lower case already, tokens with a byte 0xFF after each. */
enum { HX_TEXT_RAW, HX_TEXT_LOWERED, HX_TEXT_TOKENS };
enum { HX_IN_WORD = 1, HX_IS_SPACE = 2, HX_HAS_LOWER = 4 };     /* of a character */

static inline int hx_ctz64(uint64_t x)
{
#if defined(_MSC_VER)
    unsigned long i;
    _BitScanForward64(&i, x);
    return (int)i;
#else
    return __builtin_ctzll(x);
#endif
}

static inline void hx_fetch(const void *p)
{
#if defined(__GNUC__)
    __builtin_prefetch(p);
#else
    (void)p;
#endif
}

/* Little-endian on every machine; compilers make one load of it. */
static inline uint64_t hx_load64(const uint8_t *p)
{
    return (uint64_t)p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 | (uint64_t)p[3] << 24 |
           (uint64_t)p[4] << 32 | (uint64_t)p[5] << 40 | (uint64_t)p[6] << 48 |
           (uint64_t)p[7] << 56;
}

static inline uint32_t hx_load32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* Room for `need` elements, keeping what is there; 0 if there is no memory. */
static inline int hx_room(void **p, int64_t *room, int64_t need, size_t size)
{
    void *q;
    int64_t more;
    if (need <= *room)
        return 1;
    more = need > *room + *room / 2 ? need : *room + *room / 2;
    q = realloc(*p, (size_t)more * size);
    if (q == NULL)
        return 0;
    *p = q;
    *room = more;
    return 1;
}

/* --------------------------------------------------------------------------------- UTF-8 */

/* The first byte that is not part of valid UTF-8 (as Python has it: no surrogates), or n. */
static int64_t hx_utf8_error(const uint8_t *s, int64_t n, int *ascii)
{
    int64_t i = 0;
    *ascii = 1;
    while (i < n) {
        uint8_t a = s[i], low = 0x80, high = 0xBF;
        int more, k;
        if (n - i >= 8 && !(hx_load64(s + i) & 0x8080808080808080u)) {
            i += 8;
            continue;
        }
        if (a < 0x80) {
            i++;
            continue;
        }
        *ascii = 0;
        if (a < 0xC2 || a > 0xF4)
            return i;
        more = a < 0xE0 ? 1 : a < 0xF0 ? 2 : 3;
        low = a == 0xE0 ? 0xA0 : a == 0xF0 ? 0x90 : 0x80;
        high = a == 0xED ? 0x9F : a == 0xF4 ? 0x8F : 0xBF;
        if (n - i <= more || s[i + 1] < low || s[i + 1] > high)
            return i;
        for (k = 2; k <= more; k++)
            if ((s[i + k] & 0xC0) != 0x80)
                return i;
        i += more + 1;
    }
    return n;
}

/* Capital sigma, whose lower case depends on what is around it. */
static int hx_has_sigma(const uint8_t *s, int64_t n)
{
    const uint8_t *p = s, *end = s + n;
    while (end - p >= 2 && (p = (const uint8_t *)memchr(p, 0xCE, (size_t)(end - p - 1))) != NULL) {
        if (p[1] == 0xA3)
            return 1;
        p++;
    }
    return 0;
}

static inline int hx_char_len(uint8_t first)
{
    return first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
}

/* The character at s, of valid UTF-8 (in which surrogates are allowed here). */
static inline uint32_t hx_char_at(const uint8_t *s, int len)
{
    switch (len) {
    case 1: return s[0];
    case 2: return (uint32_t)(s[0] & 0x1F) << 6 | (s[1] & 0x3F);
    case 3: return (uint32_t)(s[0] & 0x0F) << 12 | (uint32_t)(s[1] & 0x3F) << 6 | (s[2] & 0x3F);
    default:
        return (uint32_t)(s[0] & 0x07) << 18 | (uint32_t)(s[1] & 0x3F) << 12 |
               (uint32_t)(s[2] & 0x3F) << 6 | (s[3] & 0x3F);
    }
}

/* What Python says about characters. Flags may be missing (NULL) while texts are ASCII. */
typedef struct {
    const uint8_t *flags;           /* of every code point */
    const uint32_t *upper;          /* those that have HX_HAS_LOWER, ascending */
    const uint64_t *lower;          /* UTF-8 (32 bits), its length (8), which bytes are in words */
    int64_t n_upper;
} hx_chars;

static inline uint64_t hx_lower_of(const hx_chars *c, uint32_t code)
{
    int64_t a = 0, b = c->n_upper - 1;
    while (a < b) {
        int64_t m = (a + b) / 2;
        if (c->upper[m] < code)
            a = m + 1;
        else
            b = m;
    }
    return c->lower[a];
}

/* --------------------------------------------------------------------------------- terms */

/* Up to 16 bytes are in the key itself (padded with zeros), of more there are two hashes. */
typedef struct {
    uint64_t k0, k1;
    int64_t start;          /* in `bytes` */
    uint32_t len;
    uint32_t unused;
} hx_term;

typedef struct {
    uint64_t *slots;        /* hash << 32 | number + 1, or 0 */
    hx_term *terms;
    uint8_t *bytes;
    int64_t n, terms_room, size, bytes_room;
    int bits;               /* 2^bits slots */
} hx_terms;

static inline uint64_t hx_mix(uint64_t x)
{
    x ^= x >> 32;
    x *= 0xD6E8FEB86659FD93u;
    x ^= x >> 32;
    x *= 0xD6E8FEB86659FD93u;
    return x ^ x >> 32;
}

static const uint64_t HX_KEEP[25] = {  /* i bytes of 8, by i + 8 */
    0, 0, 0, 0, 0, 0, 0, 0, 0,
    0xFF, 0xFFFF, 0xFFFFFF, 0xFFFFFFFF, 0xFFFFFFFFFF, 0xFFFFFFFFFFFF, 0xFFFFFFFFFFFFFF,
    ~(uint64_t)0, ~(uint64_t)0, ~(uint64_t)0, ~(uint64_t)0, ~(uint64_t)0, ~(uint64_t)0,
    ~(uint64_t)0, ~(uint64_t)0, ~(uint64_t)0,
};

static inline uint64_t hx_hash_key(uint64_t k0, uint64_t k1, uint32_t len)
{
    uint64_t x = (k1 + len) * 0xC2B2AE3D27D4EB4Fu;
    return hx_mix(k0 * 0x9E3779B97F4A7C15u ^ (x << 32 | x >> 32));
}

/* Key of p[0..len), of which HX_SLACK bytes more may be read; returns the hash. */
static inline uint64_t hx_key(const uint8_t *p, uint32_t len, uint64_t *k0, uint64_t *k1)
{
    uint64_t a, b;
    if (len <= 16) {  /* no branches on the length, which nobody can predict */
        a = hx_load64(p) & HX_KEEP[len + 8];
        b = hx_load64(p + 8) & HX_KEEP[len];
    } else {
        uint32_t i;
        uint64_t x;
        a = 0x243F6A8885A308D3u;
        b = 0x13198A2E03707344u;
        for (i = 0; i + 8 < len; i += 8) {
            x = hx_load64(p + i);
            a = hx_mix(a ^ x);
            b = (b + x) * 0x9E3779B97F4A7C15u;
        }
        x = hx_load64(p + i) & HX_KEEP[len - i + 8];
        a = hx_mix(a ^ x);
        b = hx_mix(b ^ x);
    }
    *k0 = a;
    *k1 = b;
    return hx_hash_key(a, b, len);
}

static inline int hx_same(const hx_terms *t, const hx_term *e, uint64_t k0, uint64_t k1,
                          const uint8_t *p, uint32_t len)
{
    return e->k0 == k0 && e->k1 == k1 && e->len == len &&
           (len <= 16 || memcmp(t->bytes + e->start, p, len) == 0);
}

/* Number of a term, or -1. */
static inline int64_t hx_find(const hx_terms *t, uint64_t h, uint64_t k0, uint64_t k1,
                              const uint8_t *p, uint32_t len)
{
    uint64_t mask = ((uint64_t)1 << t->bits) - 1, i = h >> (64 - t->bits);
    for (;; i = (i + 1) & mask) {
        uint64_t s = t->slots[i];
        if (s == 0)
            return -1;
        if ((uint32_t)(s >> 32) == (uint32_t)h) {
            int64_t id = (int64_t)(uint32_t)s - 1;
            if (hx_same(t, t->terms + id, k0, k1, p, len))
                return id;
        }
    }
}

static int hx_rehash(hx_terms *t, int bits)
{
    uint64_t mask = ((uint64_t)1 << bits) - 1, i;
    int64_t k;
    uint64_t *slots = (uint64_t *)calloc((size_t)1 << bits, sizeof *slots);
    if (slots == NULL)
        return 0;
    for (k = 0; k < t->n; k++) {
        const hx_term *e = t->terms + k;
        uint64_t h = hx_hash_key(e->k0, e->k1, e->len);
        for (i = h >> (64 - bits); slots[i] != 0; i = (i + 1) & mask)
            ;
        slots[i] = (uint64_t)(uint32_t)h << 32 | (uint64_t)(k + 1);
    }
    free(t->slots);
    t->slots = slots;
    t->bits = bits;
    return 1;
}

/* Number of a term, which is a new one if need be; -1 if there is no memory. */
static inline int64_t hx_intern(hx_terms *t, uint64_t h, uint64_t k0, uint64_t k1,
                                const uint8_t *p, uint32_t len)
{
    uint64_t mask = ((uint64_t)1 << t->bits) - 1, i = h >> (64 - t->bits);
    hx_term *e;
    for (;; i = (i + 1) & mask) {
        uint64_t s = t->slots[i];
        if (s == 0)
            break;
        if ((uint32_t)(s >> 32) == (uint32_t)h) {
            int64_t id = (int64_t)(uint32_t)s - 1;
            if (hx_same(t, t->terms + id, k0, k1, p, len))
                return id;
        }
    }
    if (t->n >= INT32_MAX - 1 ||
        !hx_room((void **)&t->terms, &t->terms_room, t->n + 1, sizeof *t->terms) ||
        !hx_room((void **)&t->bytes, &t->bytes_room, t->size + len + HX_SLACK, 1))
        return -1;
    memcpy(t->bytes + t->size, p, len);
    e = t->terms + t->n;
    e->k0 = k0;
    e->k1 = k1;
    e->start = t->size;
    e->len = len;
    t->size += len;
    t->n++;
    t->slots[i] = (uint64_t)(uint32_t)h << 32 | (uint64_t)t->n;
    if (2 * t->n > ((int64_t)1 << t->bits) && !hx_rehash(t, t->bits + 1))
        return -1;
    return t->n - 1;
}

static int hx_terms_start(hx_terms *t)
{
    memset(t, 0, sizeof *t);
    return hx_rehash(t, 12);
}

static void hx_terms_free(hx_terms *t)
{
    free(t->slots);
    free(t->terms);
    free(t->bytes);
    memset(t, 0, sizeof *t);
}

/* Intern a term whose bytes may end where memory ends; -1 if there is no memory. */
static int64_t hx_intern_exact(hx_terms *t, const uint8_t *p, uint32_t len)
{
    uint8_t small[HX_SLACK] = {0}, *copy = small;
    uint64_t k0, k1, h;
    int64_t id;
    if (len > HX_SLACK - 16) {
        copy = (uint8_t *)calloc((size_t)len + HX_SLACK, 1);
        if (copy == NULL)
            return -1;
    }
    memcpy(copy, p, len);
    h = hx_key(copy, len, &k0, &k1);
    id = hx_intern(t, h, k0, k1, copy, len);
    if (copy != small)
        free(copy);
    return id;
}

/* Sort keys by their upper 32 bits, of which `bits` are in use; `room` has space for n more. */
static void hx_sort_keys(uint64_t *a, uint64_t *room, int64_t n, int bits)
{
    int64_t i, j, cost, best = INT64_MAX;
    int shift, passes, digit = 8;
    uint64_t *from = a, *to = room;
    uint32_t count[1 << 11], mask;
    if (n <= 24) {
        for (i = 1; i < n; i++) {
            uint64_t x = a[i];
            for (j = i; j > 0 && (a[j - 1] >> 32) > (x >> 32); j--)
                a[j] = a[j - 1];
            a[j] = x;
        }
        return;
    }
    for (passes = 1; passes <= 6; passes++) {  /* keys to move against counters to add up */
        int width = (bits + passes - 1) / passes;
        if (width > 11)
            continue;
        cost = passes * (2 * n + ((int64_t)1 << width));
        if (cost < best) {
            best = cost;
            digit = width;
        }
    }
    mask = ((uint32_t)1 << digit) - 1;
    for (shift = 32; shift < 32 + bits; shift += digit) {
        uint32_t sum = 0;
        uint64_t *swap;
        memset(count, 0, ((size_t)mask + 1) * sizeof *count);
        for (i = 0; i < n; i++)
            count[from[i] >> shift & mask]++;
        for (i = 0; i <= mask; i++) {
            uint32_t c = count[i];
            count[i] = sum;
            sum += c;
        }
        for (i = 0; i < n; i++)
            to[count[from[i] >> shift & mask]++] = from[i];
        swap = from;
        from = to;
        to = swap;
    }
    if (from != a)
        memcpy(a, from, (size_t)n * sizeof *a);
}

typedef struct {
    uint64_t prefix;        /* first 8 bytes, the first one on top */
    const uint8_t *p;
    uint32_t len, id;
} hx_named;

static int hx_compare(const void *x, const void *y)
{
    const hx_named *a = (const hx_named *)x, *b = (const hx_named *)y;
    uint32_t n = a->len < b->len ? a->len : b->len;
    int c = memcmp(a->p, b->p, n);
    return c != 0 ? c : (a->len > b->len) - (a->len < b->len);
}

/* Numbers of the terms in the order of their bytes, which is that of their code points. */
static int hx_order(const hx_terms *t, int32_t *order)
{
    int64_t n = t->n, i, j;
    int shift;
    hx_named *from = (hx_named *)malloc((size_t)(n + 1) * sizeof *from);
    hx_named *to = (hx_named *)malloc((size_t)(n + 1) * sizeof *to), *swap;
    if (from == NULL || to == NULL) {
        free(from);
        free(to);
        return 0;
    }
    for (i = 0; i < n; i++) {
        const hx_term *e = t->terms + i;
        uint64_t prefix = 0;
        for (j = 0; j < 8 && j < e->len; j++)
            prefix |= (uint64_t)t->bytes[e->start + j] << (56 - 8 * j);
        from[i].prefix = prefix;
        from[i].p = t->bytes + e->start;
        from[i].len = e->len;
        from[i].id = (uint32_t)i;
    }
    for (shift = 0; shift < 64; shift += 8) {
        int64_t count[256] = {0}, sum = 0;
        for (i = 0; i < n; i++)
            count[(uint8_t)(from[i].prefix >> shift)]++;
        for (i = 0; i < 256; i++) {
            int64_t c = count[i];
            count[i] = sum;
            sum += c;
        }
        for (i = 0; i < n; i++)
            to[count[(uint8_t)(from[i].prefix >> shift)]++] = from[i];
        swap = from;
        from = to;
        to = swap;
    }
    for (i = 0; i < n; i = j) {
        for (j = i + 1; j < n && from[j].prefix == from[i].prefix; j++)
            ;
        if (j - i > 1)
            qsort(from + i, (size_t)(j - i), sizeof *from, hx_compare);
    }
    for (i = 0; i < n; i++)
        order[i] = (int32_t)from[i].id;
    free(from);
    free(to);
    return 1;
}

static inline uint32_t hx_murmur3_block(uint32_t k)
{
    k *= 0xCC9E2D51u;
    return (k << 15 | k >> 17) * 0x1B873593u;
}

/* MurmurHash3 (x86, 32 bits) of Austin Appleby with seed 0; HX_SLACK bytes more may be read. */
static inline uint32_t hx_murmur3(const uint8_t *p, uint32_t len)
{
    uint32_t h = 0, i = 0, next;
    if (len < 16) {  /* steps that are not due are taken and dropped: cheaper than a wrong guess */
        for (; i < 12; i += 4) {
            next = h ^ hx_murmur3_block(hx_load32(p + i));
            next = (next << 13 | next >> 19) * 5 + 0xE6546B64u;
            h = i + 4 <= len ? next : h;
        }
        i = len & ~(uint32_t)3;
    } else {
        for (; i + 4 <= len; i += 4) {
            h ^= hx_murmur3_block(hx_load32(p + i));
            h = (h << 13 | h >> 19) * 5 + 0xE6546B64u;
        }
    }
    /* The rest of less than 4 bytes; none is zero, which changes nothing. */
    h ^= hx_murmur3_block(hx_load32(p + i) & (uint32_t)HX_KEEP[8 + len - i]);
    h ^= len;
    h ^= h >> 16;
    h *= 0x85EBCA6Bu;
    h ^= h >> 13;
    h *= 0xC2B2AE35u;
    return h ^ h >> 16;
}

/* The column of a hash: its absolute value (2^31 for the smallest number, too) modulo n. */
static inline uint32_t hx_hash_column(uint32_t h, uint32_t n)
{
    const uint32_t size = h >> 31 ? 0 - h : h;
    return n & (n - 1) ? size % n : size & (n - 1);
}

/* ------------------------------------------------------------------------------- workers */

typedef struct {
    int analyzer, mode, lowercase;
    int min_chars;              /* of a word, 1 or 2 */
    int64_t min_n, max_n;
    int alternate_sign;
    uint32_t n_features;        /* of HX_HASH */
    int keep_rows, count_df, count_tf;
    const hx_terms *stop;       /* or NULL */
    const hx_terms *known;      /* of HX_FIND */
    hx_chars chars;
} hx_text;

/* When a term occurred last: in which document of this worker, at which place of its row. */
typedef struct {
    uint32_t stamp, place;
    int64_t df;
} hx_seen;

typedef struct {
    const uint8_t *p;
    uint64_t k0, k1, hash;
    uint32_t len;
    uint32_t guess;             /* number of the first term with this hash, plus one; 0: none */
} hx_waiting;

/* What one thread works with. */
typedef struct {
    const hx_text *o;
    hx_terms own;               /* of HX_GROW */
    hx_seen *seen;
    int64_t *tf;                /* HX_GROW: occurrences */
    int64_t *df;                /* HX_HASH: documents by column */
    uint8_t *text, *joined;
    uint64_t *bits, *keys;
    uint32_t *edges;
    int64_t seen_room, tf_room, text_room, joined_room, bits_room, keys_room, edges_room;
    uint32_t stamp;
    int n_waiting;
    hx_waiting waiting[HX_BLOCK];
} hx_worker;

typedef struct {
    const uint8_t *p;
    int64_t n;
    int form;
} hx_document;

/* Consecutive documents and their rows. */
typedef struct {
    int64_t first, count;       /* documents of the batch */
    int64_t row;                /* number of the first one */
    uint64_t *keys;
    int64_t n_keys, room;
    int64_t *ends;              /* of the rows, in keys */
    int worker;                 /* whose numbers they have */
    int failed;                 /* no memory */
} hx_chunk;

static int hx_worker_start(hx_worker *w, const hx_text *o)
{
    memset(w, 0, sizeof *w);
    w->o = o;
    if (o->mode == HX_GROW)
        return hx_terms_start(&w->own);
    if (o->mode == HX_HASH) {
        w->df = o->count_df ? (int64_t *)calloc((size_t)o->n_features, sizeof *w->df) : NULL;
        return w->df != NULL || !o->count_df;
    }
    w->seen_room = o->known->n + 1;
    w->seen = (hx_seen *)calloc((size_t)w->seen_room, sizeof *w->seen);
    return w->seen != NULL;
}

static void hx_worker_free(hx_worker *w)
{
    hx_terms_free(&w->own);
    free(w->seen);
    free(w->tf);
    free(w->df);
    free(w->text);
    free(w->joined);
    free(w->bits);
    free(w->keys);
    free(w->edges);
    memset(w, 0, sizeof *w);
}

/* -------------------------------------------------------------------------------- lower case */

/* 16 bytes: lower case, one bit for each that is in a word, one for each that is not ASCII. */
#if defined(__SSE2__)
static inline uint32_t hx_classify(const uint8_t *s, uint8_t *out, int lower, uint32_t *high)
{
    __m128i x = _mm_loadu_si128((const __m128i *)s);
    __m128i upper = _mm_and_si128(_mm_cmpgt_epi8(x, _mm_set1_epi8('A' - 1)),
                                  _mm_cmplt_epi8(x, _mm_set1_epi8('Z' + 1)));
    __m128i small = _mm_or_si128(x, _mm_and_si128(upper, _mm_set1_epi8(0x20)));
    __m128i word = _mm_and_si128(_mm_cmpgt_epi8(small, _mm_set1_epi8('a' - 1)),
                                 _mm_cmplt_epi8(small, _mm_set1_epi8('z' + 1)));
    word = _mm_or_si128(word, _mm_and_si128(_mm_cmpgt_epi8(x, _mm_set1_epi8('0' - 1)),
                                            _mm_cmplt_epi8(x, _mm_set1_epi8('9' + 1))));
    word = _mm_or_si128(word, _mm_cmpeq_epi8(x, _mm_set1_epi8('_')));
    _mm_storeu_si128((__m128i *)out, lower ? small : x);
    *high = (uint32_t)_mm_movemask_epi8(x);
    return (uint32_t)_mm_movemask_epi8(word);
}
#else
static inline uint32_t hx_classify(const uint8_t *s, uint8_t *out, int lower, uint32_t *high)
{
    uint32_t word = 0, not_ascii = 0;
    int i;
    for (i = 0; i < 16; i++) {
        uint8_t x = s[i];
        uint8_t small = (uint8_t)(x | ((uint8_t)(x - 'A') < 26 ? 0x20 : 0));
        int in = (uint8_t)(small - 'a') < 26 || (uint8_t)(x - '0') < 10 || x == '_';
        word |= (uint32_t)in << i;
        not_ascii |= (uint32_t)(x >> 7) << i;
        out[i] = lower ? small : x;
    }
    *high = not_ascii;
    return word;
}
#endif

static inline void hx_put_bits(uint64_t *bits, int64_t at, uint64_t some)
{
    int shift = (int)(at & 63);
    bits[at >> 6] |= some << shift;
    if (shift > 48)
        bits[(at >> 6) + 1] |= some >> (64 - shift);
}

/* Text and bits of a document, in w->text and w->bits; returns its new length, -1: no memory. */
static int64_t hx_lower(hx_worker *w, const uint8_t *s, int64_t n, int lower)
{
    const hx_chars *chars = &w->o->chars;
    int64_t most = n + n / 2, i = 0, j = 0;  /* no lower case is longer: 3 bytes instead of 2 */
    int64_t block;
    uint8_t *out;
    uint64_t *bits, now;
    if (!hx_room((void **)&w->text, &w->text_room, most + HX_SLACK, 1) ||
        !hx_room((void **)&w->bits, &w->bits_room, most / 64 + 2, sizeof *bits))
        return -1;
    out = w->text;
    bits = w->bits;
    memset(bits, 0, (size_t)(most / 64 + 2) * sizeof *bits);
    while (i < n) {
        uint32_t high, word;
        int64_t k = 16;
        if (n - i >= 16) {
            word = hx_classify(s + i, out + j, lower, &high);
        } else {
            uint8_t tail[16] = {0};
            k = n - i;
            memcpy(tail, s + i, (size_t)k);
            word = hx_classify(tail, out + j, lower, &high);
        }
        if (high != 0) {
            k = hx_ctz64(high);
            word &= ((uint32_t)1 << k) - 1;
        }
        hx_put_bits(bits, j, word);
        i += k;
        j += k;
        if (high == 0)
            continue;
        /* Up to the next two characters of ASCII: a blank between words is no reason to leave.
         * The bits of the block at hand stay in a register. */
        block = j >> 6;
        now = bits[block];
        while (i < n && (s[i] >= 0x80 || (n - i > 1 && s[i + 1] >= 0x80))) {
            int len = hx_char_len(s[i]), shift = (int)(j & 63), b;
            uint32_t code = hx_char_at(s + i, len);
            uint8_t flags = chars->flags[code];
            uint64_t in;
            if (lower && flags & HX_HAS_LOWER) {
                uint64_t to = hx_lower_of(chars, code);
                for (b = 0; b < 4; b++)
                    out[j + b] = (uint8_t)(to >> 8 * b);
                in = to >> 40;
                j += (int)(to >> 32 & 0xFF);
            } else {
                if (n - i >= 4)
                    memcpy(out + j, s + i, 4);
                else
                    for (b = 0; b < len; b++)
                        out[j + b] = s[i + b];
                in = (uint64_t)(0 - (flags & HX_IN_WORD)) & ((1u << len) - 1);
                j += len;
            }
            i += len;
            now |= in << shift;
            if (j >> 6 != block) {
                bits[block] = now;
                block = j >> 6;
                now = shift > 60 ? in >> (64 - shift) : 0;
            }
        }
        bits[block] = now;
    }
    memset(out + j, 0, HX_SLACK);
    return j;
}

/* Starts and ends, in turn, of the runs of bits in 0..n-1, in w->edges; their number, or -1. */
static int64_t hx_runs(hx_worker *w, int64_t n)
{
    int64_t i, k = 0;
    uint64_t before = 0;
    uint32_t *edges;
    if (!hx_room((void **)&w->edges, &w->edges_room, n + 2, sizeof *edges))
        return -1;
    edges = w->edges;
    for (i = 0; i <= n >> 6; i++) {
        uint64_t x = w->bits[i], turns = x ^ (x << 1 | before);
        before = x >> 63;
        while (turns) {
            edges[k++] = (uint32_t)(i << 6) + (uint32_t)hx_ctz64(turns);
            turns &= turns - 1;
        }
    }
    return k;
}

/* ------------------------------------------------------------------------------- counting */

/* Numbers of the terms that wait, and their counts. */
static int hx_flush(hx_worker *w, hx_chunk *c, int64_t row)
{
    const hx_text *o = w->o;
    const hx_terms *t = o->mode == HX_GROW ? &w->own : o->known;
    hx_seen *seen;
    uint64_t *keys;
    int64_t n = c->n_keys;
    uint32_t stamp = w->stamp;
    uint64_t mask = ((uint64_t)1 << t->bits) - 1;
    int i, count = w->n_waiting, shift = 64 - t->bits;
    w->n_waiting = 0;
    if (!hx_room((void **)&c->keys, &c->room, n + HX_BLOCK, sizeof *keys))
        return 0;
    if (o->mode == HX_GROW && w->seen_room < t->n + HX_BLOCK) {
        int64_t old = w->seen_room;
        if (!hx_room((void **)&w->seen, &w->seen_room, t->n + HX_BLOCK, sizeof *seen))
            return 0;
        memset(w->seen + old, 0, (size_t)(w->seen_room - old) * sizeof *seen);
    }
    keys = c->keys;
    seen = w->seen;
    for (i = 0; i < count; i++) {
        uint64_t hash = w->waiting[i].hash, at = hash >> shift, s;
        uint32_t guess;
        while ((s = t->slots[at]) != 0 && (uint32_t)(s >> 32) != (uint32_t)hash)
            at = (at + 1) & mask;
        guess = (uint32_t)s;
        w->waiting[i].guess = guess;
        if (guess) {
            hx_fetch(t->terms + (guess - 1));
            hx_fetch(seen + (guess - 1));
        }
    }
    for (i = 0; i < count; i++) {
        const hx_waiting *x = w->waiting + i;
        int64_t id = (int64_t)x->guess - 1;
        if (id < 0 || !hx_same(t, t->terms + id, x->k0, x->k1, x->p, x->len)) {
            if (o->mode == HX_FIND) {
                if (id < 0)
                    continue;
                id = hx_find(t, x->hash, x->k0, x->k1, x->p, x->len);
                if (id < 0)
                    continue;
            } else {
                id = hx_intern(&w->own, x->hash, x->k0, x->k1, x->p, x->len);
                if (id < 0)
                    return 0;
            }
        }
        {   /* one more, or the first one, without a branch */
            hx_seen *mark = seen + id;
            int again = mark->stamp == stamp;
            int64_t place = again ? (int64_t)mark->place : n - row;
            uint64_t key = again ? keys[row + place] : (uint64_t)id << 32;
            keys[row + place] = key + 1;
            mark->stamp = stamp;
            mark->place = (uint32_t)place;
            mark->df += !again;
            n += !again;
        }
    }
    c->n_keys = n;
    return 1;
}

/* One occurrence of a term, behind which HX_SLACK bytes may be read until it is flushed. */
static inline int hx_put(hx_worker *w, hx_chunk *c, int64_t row, const uint8_t *p, uint32_t len)
{
    const hx_text *o = w->o;
    hx_waiting *x;
    if (o->mode == HX_HASH) {
        uint32_t h = hx_murmur3(p, len), n = o->n_features;
        uint32_t column = hx_hash_column(h, n);
        uint32_t one = o->alternate_sign && h >> 31 ? (uint32_t)-1 : 1;
        if (c->n_keys == c->room &&
            !hx_room((void **)&c->keys, &c->room, c->n_keys + 1024, sizeof *c->keys))
            return 0;
        c->keys[c->n_keys++] = (uint64_t)column << 32 | one;
        return 1;
    }
    x = w->waiting + w->n_waiting;
    x->p = p;
    x->len = len;
    x->hash = hx_key(p, len, &x->k0, &x->k1);
    hx_fetch((o->mode == HX_GROW ? w->own.slots : o->known->slots) +
             (x->hash >> (64 - (o->mode == HX_GROW ? w->own.bits : o->known->bits))));
    if (++w->n_waiting == HX_BLOCK)
        return hx_flush(w, c, row);
    return 1;
}

static int hx_width(uint32_t n_values)
{
    int bits = 0;
    while (bits < 32 && ((uint64_t)1 << bits) < n_values)
        bits++;
    return bits;
}

/* The row is complete. */
static int hx_end_row(hx_worker *w, hx_chunk *c, int64_t row)
{
    const hx_text *o = w->o;
    int64_t i, n;
    if (o->mode == HX_HASH) {
        uint64_t *a = c->keys + row;
        n = c->n_keys - row;
        if (n > 0) {
            if (!hx_room((void **)&w->keys, &w->keys_room, n, sizeof *a))
                return 0;
            hx_sort_keys(a, w->keys, n, hx_width(o->n_features));
            c->n_keys = row + 1;
            for (i = 1; i < n; i++) {
                uint64_t *last = c->keys + c->n_keys - 1;
                if (a[i] >> 32 == *last >> 32)
                    *last = (*last >> 32) << 32 | (uint32_t)((uint32_t)*last + (uint32_t)a[i]);
                else
                    c->keys[c->n_keys++] = a[i];
            }
        }
        if (o->count_df)
            for (i = row; i < c->n_keys; i++)
                w->df[c->keys[i] >> 32]++;
    } else {
        if (w->n_waiting && !hx_flush(w, c, row))
            return 0;
        if (o->count_tf) {
            int64_t old = w->tf_room;
            if (!hx_room((void **)&w->tf, &w->tf_room, w->seen_room, sizeof *w->tf))
                return 0;
            memset(w->tf + old, 0, (size_t)(w->tf_room - old) * sizeof *w->tf);
            for (i = row; i < c->n_keys; i++)
                w->tf[c->keys[i] >> 32] += (uint32_t)c->keys[i];
        }
    }
    if (!o->keep_rows)
        c->n_keys = row;
    return 1;
}

/* --------------------------------------------------------------------------------- words */

/* Words and their n-grams from pairs of edges in `text`. */
static int hx_words(hx_worker *w, hx_chunk *c, int64_t row, const uint8_t *text, int64_t n,
                    int64_t n_edges, int min_chars)
{
    const hx_text *o = w->o;
    uint32_t *edges = w->edges;
    int64_t count = 0, i, k, size = 0;
    uint64_t k0, k1, h;
    if (o->max_n == 1 && o->stop == NULL) {
        for (i = 0; i + 1 < n_edges; i += 2) {
            const uint8_t *p = text + edges[i];
            uint32_t len = edges[i + 1] - edges[i];
            /* Two characters are two bytes, unless the first of them begins a longer one. */
            if (min_chars == 2 && (len < 2 || (len <= 4 && (int)len == hx_char_len(*p))))
                continue;
            if (!hx_put(w, c, row, p, len))
                return 0;
        }
        return 1;
    }
    if (!hx_room((void **)&w->joined, &w->joined_room, n + n_edges + HX_SLACK, 1))
        return 0;
    for (i = 0; i + 1 < n_edges; i += 2) {
        const uint8_t *p = text + edges[i];
        uint32_t len = edges[i + 1] - edges[i];
        if (min_chars == 2 && (len < 2 || (len <= 4 && (int)len == hx_char_len(*p))))
            continue;
        if (o->stop != NULL) {
            h = hx_key(p, len, &k0, &k1);
            if (hx_find(o->stop, h, k0, k1, p, len) >= 0)
                continue;
        }
        memcpy(w->joined + size, p, len);
        edges[2 * count] = (uint32_t)size;  /* never ahead of what is read */
        edges[2 * count + 1] = (uint32_t)(size + len);
        w->joined[size + len] = ' ';
        size += len + 1;
        count++;
    }
    memset(w->joined + size, 0, HX_SLACK);
    for (k = o->min_n; k <= o->max_n && k <= count; k++)
        for (i = 0; i + k <= count; i++)
            if (!hx_put(w, c, row, w->joined + edges[2 * i],
                        edges[2 * (i + k - 1) + 1] - edges[2 * i]))
                return 0;
    return 1;
}

/* Edges of tokens that end with a byte 0xFF each; their number, or -1. */
static int64_t hx_token_edges(hx_worker *w, const uint8_t *s, int64_t n)
{
    int64_t k = 0, i = 0;
    if (!hx_room((void **)&w->edges, &w->edges_room, 2 * n + 2, sizeof *w->edges))
        return -1;
    while (i < n) {
        const uint8_t *end = (const uint8_t *)memchr(s + i, 0xFF, (size_t)(n - i));
        if (end == NULL)
            break;
        w->edges[k++] = (uint32_t)i;
        w->edges[k++] = (uint32_t)(end - s);
        i = end - s + 1;
    }
    return k;
}

/* --------------------------------------------------------------------------- characters */

static inline int hx_is_space(const hx_chars *chars, const uint8_t *p, int len)
{
    if (len == 1)
        return *p == ' ' || (*p >= 9 && *p <= 13) || (*p >= 28 && *p <= 31);
    return chars->flags[hx_char_at(p, len)] & HX_IS_SPACE;
}

/* n-grams of the characters that start at starts[0..count); the last one ends at starts[count]. */
static int hx_grams(hx_worker *w, hx_chunk *c, int64_t row, const uint32_t *starts, int64_t count,
                    int padded)
{
    const hx_text *o = w->o;
    int64_t k, i;
    for (k = o->min_n; k <= o->max_n; k++) {
        if (k > count) {
            /* A padded word that is too short counts once as a whole. */
            if (padded)
                return hx_put(w, c, row, w->joined + starts[0], starts[count] - starts[0]);
            return 1;
        }
        for (i = 0; i + k <= count; i++)
            if (!hx_put(w, c, row, w->joined + starts[i], starts[i + k] - starts[i]))
                return 0;
        if (padded && k == count)  /* which it is now */
            return 1;
    }
    return 1;
}

/* n-grams of the characters of w->text, or of its words with a blank on both sides. */
static int hx_characters(hx_worker *w, hx_chunk *c, int64_t row, int64_t n)
{
    const hx_text *o = w->o;
    int words = o->analyzer == HX_CHAR_WB;
    const uint8_t *s;
    uint8_t *out;
    uint32_t *starts;
    int64_t i = 0, j = 0, count = 0, first;
    if (!hx_room((void **)&w->joined, &w->joined_room, 2 * n + 4 + HX_SLACK, 1) ||
        !hx_room((void **)&w->edges, &w->edges_room, 2 * n + 4, sizeof *starts))
        return 0;
    s = w->text;
    out = w->joined;
    starts = w->edges;
    while (i < n) {
        int len = hx_char_len(s[i]);
        if (hx_is_space(&o->chars, s + i, len)) {
            int64_t end = i + len;
            while (end < n && hx_is_space(&o->chars, s + end, hx_char_len(s[end])))
                end += hx_char_len(s[end]);
            if (!words) {
                starts[count++] = (uint32_t)j;
                if (end > i + len)          /* several are one blank, one stays what it is */
                    out[j++] = ' ';
                else
                    for (; len > 0; len--)
                        out[j++] = s[i++];
            }
            i = end;
        } else if (words) {
            first = count;
            starts[count++] = (uint32_t)j;
            out[j++] = ' ';
            do {
                starts[count++] = (uint32_t)j;
                for (; len > 0; len--)
                    out[j++] = s[i++];
                len = i < n ? hx_char_len(s[i]) : 0;
            } while (i < n && !hx_is_space(&o->chars, s + i, len));
            starts[count++] = (uint32_t)j;
            out[j++] = ' ';
            starts[count] = (uint32_t)j;
            if (!hx_grams(w, c, row, starts + first, count - first, 1))
                return 0;
        } else {
            starts[count++] = (uint32_t)j;
            for (; len > 0; len--)
                out[j++] = s[i++];
        }
    }
    if (words)
        return 1;
    starts[count] = (uint32_t)j;
    memset(out + j, 0, HX_SLACK);
    return hx_grams(w, c, row, starts, count, 0);
}

/* ------------------------------------------------------------------------------ documents */

static int hx_count_document(hx_worker *w, hx_chunk *c, const hx_document *d)
{
    const hx_text *o = w->o;
    int64_t row = c->n_keys, n, k;
    if (++w->stamp == 0) {  /* after 2^32 documents all marks are void */
        for (k = 0; k < w->seen_room; k++)
            w->seen[k].stamp = 0;
        w->stamp = 1;
    }
    if (d->form == HX_TEXT_TOKENS) {
        if (!hx_room((void **)&w->text, &w->text_room, d->n + HX_SLACK, 1))
            return 0;
        memcpy(w->text, d->p, (size_t)d->n);
        memset(w->text + d->n, 0, HX_SLACK);
        k = hx_token_edges(w, w->text, d->n);
        if (k < 0 || !hx_words(w, c, row, w->text, d->n, k, 0))
            return 0;
    } else {
        n = hx_lower(w, d->p, d->n, o->lowercase && d->form == HX_TEXT_RAW);
        if (n < 0)
            return 0;
        if (o->analyzer == HX_WORD) {
            k = hx_runs(w, n);
            if (k < 0 || !hx_words(w, c, row, w->text, n, k, o->min_chars))
                return 0;
        } else if (!hx_characters(w, c, row, n)) {
            return 0;
        }
    }
    return hx_end_row(w, c, row);
}

static void hx_count_chunk(hx_worker *w, hx_chunk *c, const hx_document *documents)
{
    int64_t i;
    for (i = 0; i < c->count; i++) {
        if (!hx_count_document(w, c, documents + i)) {
            c->failed = 1;
            return;
        }
        if (c->ends != NULL)
            c->ends[i] = c->n_keys;
    }
}

/* ----------------------------------------------------------------------------------- rows */

/* Keys by columns: numbers that `map` (unless it is NULL) has no column for leave, rows of
 * HX_GROW and HX_FIND are sorted. Rows keep their order and stay one behind the other. */
static void hx_finish_chunk(hx_worker *w, hx_chunk *c, const int32_t *map, int bits)
{
    int64_t i, k, start = 0, kept = 0;
    for (i = 0; i < c->count; i++) {
        int64_t end = c->ends[i], row = kept;
        for (k = start; k < end; k++) {
            uint64_t key = c->keys[k];
            if (map != NULL) {
                int32_t column = map[key >> 32];
                if (column < 0)
                    continue;
                key = (uint64_t)(uint32_t)column << 32 | (uint32_t)key;
            }
            c->keys[kept++] = key;
        }
        if (w->o->mode != HX_HASH) {
            if (!hx_room((void **)&w->keys, &w->keys_room, kept - row, sizeof *w->keys)) {
                c->failed = 1;
                return;
            }
            hx_sort_keys(c->keys + row, w->keys, kept - row, bits);
        }
        start = end;
        c->ends[i] = kept;
    }
    c->n_keys = kept;
}

enum { HX_NO_NORM, HX_L1, HX_L2 };

typedef struct {
    int binary, sublinear, norm;
    const double *idf;          /* or NULL */
} hx_weights;

/* Columns and (in `values`) weights of a row of keys. */
static void hx_weigh_row(const uint64_t *keys, int64_t n, const hx_weights *o, double *values,
                         int32_t *columns)
{
    int64_t i;
    double size = 0;
    for (i = 0; i < n; i++) {
        double x = (double)(int32_t)(uint32_t)keys[i];
        columns[i] = (int32_t)(keys[i] >> 32);
        if (o->binary)
            x = 1;
        if (o->sublinear && x != 1 && x != 0)
            x = x > 0 ? 1 + log(x) : -1 - log(-x);
        if (o->idf != NULL)
            x *= o->idf[columns[i]];
        values[i] = x;
        size += o->norm == HX_L2 ? x * x : fabs(x);
    }
    if (o->norm == HX_NO_NORM || size == 0)
        return;
    if (o->norm == HX_L2)
        size = sqrt(size);
    for (i = 0; i < n; i++)
        values[i] /= size;
}

/* Write the rows of a finished chunk, whose keys are given back. */
static void hx_write_chunk(hx_worker *w, hx_chunk *c, const hx_weights *o, float *f32,
                           double *f64, int32_t *columns)
{
    int64_t i, k, start = 0;
    for (i = 0; i < c->count; i++) {
        int64_t n = c->ends[i] - start;
        if (f64 != NULL) {
            hx_weigh_row(c->keys + start, n, o, f64 + start, columns + start);
        } else {
            double *values;
            if (!hx_room((void **)&w->keys, &w->keys_room, n, sizeof *w->keys)) {
                c->failed = 1;
                return;
            }
            values = (double *)w->keys;
            hx_weigh_row(c->keys + start, n, o, values, columns + start);
            for (k = 0; k < n; k++)
                f32[start + k] = (float)values[k];
        }
        start = c->ends[i];
    }
    free(c->keys);
    c->keys = NULL;
    c->room = c->n_keys = 0;
}

#endif
