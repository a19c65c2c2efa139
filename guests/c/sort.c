/* Quicksort, heapsort and merge sort of N random words (default 1000); the
 * three must agree. Data-dependent branches. */
#include "guest.h"

#define MAX 100000

static uint64_t quick[MAX], heap[MAX], merged[MAX], spare[MAX];

static void insertion(uint64_t *v, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        uint64_t x = v[i];
        size_t j = i;
        for (; j > 0 && v[j - 1] > x; j--)
            v[j] = v[j - 1];
        v[j] = x;
    }
}

static void quicksort(uint64_t *v, size_t n)
{
    while (n > 16) {
        uint64_t a = v[0], b = v[n / 2], c = v[n - 1];
        uint64_t pivot = a < b ? (b < c ? b : a < c ? c : a) : (a < c ? a : b < c ? c : b);
        size_t i = 0, j = n - 1;
        for (;;) {
            while (v[i] < pivot)
                i++;
            while (v[j] > pivot)
                j--;
            if (i >= j)
                break;
            uint64_t t = v[i];
            v[i++] = v[j];
            v[j--] = t;
        }
        quicksort(v, j + 1);
        v += j + 1;
        n -= j + 1;
    }
    insertion(v, n);
}

static void sift(uint64_t *v, size_t root, size_t n)
{
    uint64_t x = v[root];
    for (size_t child; (child = 2 * root + 1) < n; root = child) {
        if (child + 1 < n && v[child + 1] > v[child])
            child++;
        if (v[child] <= x)
            break;
        v[root] = v[child];
    }
    v[root] = x;
}

static void heapsort_words(uint64_t *v, size_t n)
{
    for (size_t i = n / 2; i-- > 0;)
        sift(v, i, n);
    for (size_t end = n; end-- > 1;) {
        uint64_t t = v[0];
        v[0] = v[end];
        v[end] = t;
        sift(v, 0, end);
    }
}

static void merge_sort(uint64_t *v, uint64_t *other, size_t n)
{
    if (n <= 8) {
        insertion(v, n);
        return;
    }
    size_t half = n / 2;
    merge_sort(v, other, half);
    merge_sort(v + half, other, n - half);
    memcpy(other, v, half * sizeof *v);
    size_t i = 0, j = half, k = 0;
    while (i < half)
        v[k++] = j < n && v[j] < other[i] ? v[j++] : other[i++];
}

GUEST_MAIN(n)
{
    if (n == 0 || n > MAX)
        n = n ? MAX : 1000;
    uint64_t state = 88172645463325252u;
    for (size_t i = 0; i < n; i++)
        quick[i] = heap[i] = merged[i] = guest_random(&state) >> (i % 40);
    quicksort(quick, n);
    heapsort_words(heap, n);
    merge_sort(merged, spare, n);
    uint64_t sum = n;
    for (size_t i = 0; i < n; i++) {
        if (quick[i] != heap[i] || heap[i] != merged[i])
            return i + 1;
        sum = guest_mix(sum, quick[i]);
    }
    return sum;
}
