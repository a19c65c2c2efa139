/* No guard: assert follows NDEBUG each time. */
#undef assert
#ifdef NDEBUG
#define assert(CONDITION) ((void)0)
#else
#define assert(CONDITION) \
    ((CONDITION) ? (void)0 : __pvm_assert_failed(#CONDITION, __FILE__, __LINE__))
#endif

#ifndef PVM2_ASSERT_H
#define PVM2_ASSERT_H
_Noreturn void __pvm_assert_failed(const char *condition, const char *file, int line);
#ifndef __cplusplus
#define static_assert _Static_assert
#endif
#endif
