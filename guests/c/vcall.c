/* Virtual calls: shapes with tables of methods, in constant and in writable
 * data, called in random order N times (default 400). */
#include "guest.h"

typedef struct shape shape;

typedef struct {
    uint64_t (*area)(const shape *);
    void (*grow)(shape *, uint64_t);
    const char *name;
} methods;

struct shape {
    const methods *table;
    uint64_t a, b;
};

static uint64_t square_area(const shape *s) { return s->a * s->a; }
static uint64_t rect_area(const shape *s) { return s->a * s->b; }
static uint64_t triangle_area(const shape *s) { return s->a * s->b / 2; }
static uint64_t ring_area(const shape *s) { return 3 * (s->a * s->a - s->b * s->b); }
static void grow_a(shape *s, uint64_t by) { s->a += by; }
static void grow_b(shape *s, uint64_t by) { s->b ^= by << 1; }
static void grow_both(shape *s, uint64_t by)
{
    s->a += by;
    s->b += s->a >> 3;
}

static const methods SQUARE = {square_area, grow_a, "square"};
static const methods RECT = {rect_area, grow_both, "rectangle"};
static const methods TRIANGLE = {triangle_area, grow_b, "triangle"};
static const methods RING = {ring_area, grow_both, "ring"};
static const methods *const KINDS[] = {&SQUARE, &RECT, &TRIANGLE, &RING};

/* Not constant: the linker must move these pointers in writable data. */
static uint64_t (*observers[3])(const shape *) = {rect_area, ring_area, square_area};

NOINLINE static uint64_t visit(shape *s, uint64_t by)
{
    s->table->grow(s, by & 15);
    return s->table->area(s) + (uint64_t)s->table->name[0];
}

GUEST_MAIN(n)
{
    shape shapes[64];
    uint64_t state = 11, sum = 0;
    if (n == 0)
        n = 400;
    uint64_t (*before[3])(const shape *);
    memcpy(before, observers, sizeof before);
    for (size_t i = 0; i < 64; i++)
        shapes[i] = (shape){KINDS[guest_random(&state) >> 62], i + 1, 2 * i + 1};
    for (uint64_t i = 0; i < n; i++) {
        uint64_t r = guest_random(&state);
        sum += visit(&shapes[r >> 58], r);
        if (i % 16 == 15) {
            sum ^= observers[i / 16 % 3](&shapes[i % 64]);
            observers[i / 16 % 3] = KINDS[r & 3]->area;
        }
    }
    memcpy(observers, before, sizeof before);
    return sum;
}
