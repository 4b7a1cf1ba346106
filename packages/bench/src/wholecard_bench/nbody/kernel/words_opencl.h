// The kernel's words in OpenCL C 1.2. `words_cuda.h` says the same in CUDA C++.
#define KERNEL(group) __attribute__((reqd_work_group_size(group, 1, 1))) __kernel void
#define INLINE inline
#define GLOBAL __global
#define LOCAL __local
#define RESTRICT restrict
#define BARRIER() barrier(CLK_LOCAL_MEM_FENCE)
#define LANE ((int)get_local_id(0))
#define GROUP_X ((int)get_group_id(0))
#define GROUP_Y ((int)get_group_id(1))
// Intel's OpenCL for processors (2026.2) gives every work item the last one's -x.
#define MINUS(x) (0 - (x))

#ifdef FP64
#pragma OPENCL EXTENSION cl_khr_fp64 : enable
typedef double T;
typedef double4 T4;
#else
typedef float T;
typedef float4 T4;
#endif
INLINE T4 four(T x, T y, T z, T w) { return (T4)(x, y, z, w); }

#if PACKED
typedef float2 V;
INLINE V lanes(float a, float b) { return (V)(a, b); }
INLINE float lane_0(V v) { return v.x; }
INLINE float lane_1(V v) { return v.y; }
INLINE V v_fma(V a, V b, V c) { return fma(a, b, c); }
INLINE V v_add(V a, V b) { return a + b; }
INLINE V v_mul(V a, V b) { return a * b; }
#endif

INLINE float root32(float d) { return rsqrt(d); }
#ifdef FP64
// No language has a cheap start value of its own: 23 bits by way of float (1e-38 < d < 3e38).
INLINE double start64(double d) { return (double)rsqrt((float)d); }
#endif
