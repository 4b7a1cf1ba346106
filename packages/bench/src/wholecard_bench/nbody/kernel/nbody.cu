// All-pairs gravitation with Plummer softening: a_i = sum over j of m_j (x_j - x_i) / (|x_j - x_i|^2 + eps^2)^(3/2).
//
// One text for CUDA C++ and OpenCL C; the words that differ stand in words_cuda.h and words_opencl.h.
// Constants that the host gives: THREADS a group, BODIES i a thread, FORM, UNROLL, and FP64 for double precision.
// PACKED (single precision alone): a V is two bodies i, LANES of them, and every operation on it is one for both.
//
// A thread keeps BODIES bodies i in registers, a group shares tiles of THREADS bodies j. A group's row (x) says which
// i it has, its column (y) which slice of j: few bodies would otherwise leave most of the card without work. Every
// slice writes its sums apart, and `advance` adds them in the order of the slices, so a run gives the same bits again.
//
// FORM 0, plain: w = m_j. Three subtractions, three fused products for d, the root, three products, three sums: 13.
// FORM 1, mass folded in: w = a_j = m_j^(-1/2). With dx' = a_j x_j - a_j x_i (one fused product) and eps' = a_j eps,
//   dx' / d'^3 = a_j dx / (a_j d)^3 = m_j dx / d^3, so the product with m_j is gone: 12.
//   A body without mass has a_j = 0 and the softening 1: dx' = 0 and d' = 1, never 0 times infinity.
#define FOLDED (FORM == 1)

#if PACKED
#define LANES 2
#else
#define LANES 1
typedef T V;
INLINE V lanes(T a, T b) { return a; }
INLINE T lane_0(V v) { return v; }
INLINE T lane_1(V v) { return v; }
INLINE V v_fma(V a, V b, V c) { return fma(a, b, c); }
INLINE V v_add(V a, V b) { return a + b; }
INLINE V v_mul(V a, V b) { return a * b; }
#endif
#define VECTORS (BODIES / LANES)

#ifdef FP64
// d^(-3/2) from a start y of some 19 bits: y^3 (1 + 3/2 e + 15/8 e^2) with e = 1 - d y^2. The next term is below 2^-56.
// The two products of the correction in integers would take 13 double-precision operations an interaction instead of
// 15, but were slower on an H200: 5.5 ms a step of 65,536 bodies instead of 4.6.
INLINE V inverse_cube(V d) {
    T y = start64(d), t = y * y, e = fma(-d, t, 1.0), w = y * t;
    return fma(w * e, fma(1.875, e, 1.5), w);
}
#else
INLINE V inverse_cube(V d) {
    const V r = lanes(root32(lane_0(d)), LANES == 2 ? root32(lane_1(d)) : 0);
    return v_mul(v_mul(r, r), r);
}
#endif

KERNEL(THREADS) forces(GLOBAL const T4* RESTRICT bodies, GLOBAL T4* RESTRICT sums,
                       int n, int first, int count, int slice, T eps2) {
    LOCAL T4 tile[THREADS];
#if FOLDED
    LOCAL T soft[THREADS];
#endif
    V xi[VECTORS], yi[VECTORS], zi[VECTORS];  // negative, for a packed product has no sign of its own
    V sx[VECTORS], sy[VECTORS], sz[VECTORS];
    const int row = GROUP_X * (THREADS * BODIES) + LANE;
#pragma unroll
    for (int b = 0; b < VECTORS; b++) {
        const int i = row + b * LANES * THREADS, k = i + (LANES - 1) * THREADS;
        const T4 q = bodies[first + min(i, count - 1)], r = bodies[first + min(k, count - 1)];
        xi[b] = lanes(MINUS(q.x), MINUS(r.x)); yi[b] = lanes(MINUS(q.y), MINUS(r.y)); zi[b] = lanes(MINUS(q.z), MINUS(r.z));
        sx[b] = sy[b] = sz[b] = lanes(0, 0);
    }
    const int start = GROUP_Y * slice;
    const int end = n - start < slice ? n : start + slice;
    for (int t = start; t < end; t += THREADS) {
        BARRIER();
        T4 mine = four(0, 0, 0, 0);
        if (t + LANE < end) mine = bodies[t + LANE];
#if FOLDED
        soft[LANE] = mine.w > 0 ? mine.w * mine.w * eps2 : (T)1;
        mine = four(mine.w * mine.x, mine.w * mine.y, mine.w * mine.z, mine.w);
#endif
        tile[LANE] = mine;
        BARRIER();
#pragma unroll UNROLL
        for (int j = 0; j < THREADS; j++) {
            const T4 q = tile[j];
            const V xj = lanes(q.x, q.x), yj = lanes(q.y, q.y), zj = lanes(q.z, q.z), wj = lanes(q.w, q.w);
#if FOLDED
            const V e = lanes(soft[j], soft[j]);
#else
            const V e = lanes(eps2, eps2);
#endif
#pragma unroll
            for (int b = 0; b < VECTORS; b++) {
#if FOLDED
                const V dx = v_fma(wj, xi[b], xj), dy = v_fma(wj, yi[b], yj), dz = v_fma(wj, zi[b], zj);
                const V w = inverse_cube(v_fma(dx, dx, v_fma(dy, dy, v_fma(dz, dz, e))));
#else
                const V dx = v_add(xj, xi[b]), dy = v_add(yj, yi[b]), dz = v_add(zj, zi[b]);
                const V w = v_mul(wj, inverse_cube(v_fma(dx, dx, v_fma(dy, dy, v_fma(dz, dz, e)))));
#endif
                sx[b] = v_fma(dx, w, sx[b]);
                sy[b] = v_fma(dy, w, sy[b]);
                sz[b] = v_fma(dz, w, sz[b]);
            }
        }
    }
#pragma unroll
    for (int b = 0; b < VECTORS; b++) {
        const int i = row + b * LANES * THREADS, k = i + THREADS;
        GLOBAL T4* mine = sums + GROUP_Y * count;
        if (i < count) mine[i] = four(lane_0(sx[b]), lane_0(sy[b]), lane_0(sz[b]), 0);
        if (LANES == 2 && k < count) mine[k] = four(lane_1(sx[b]), lane_1(sy[b]), lane_1(sz[b]), 0);
    }
}

// The slices' sums in their order, then the sample's own step: v = (v + a kick) damping, x = x + v drift.
// `scale` is what was taken out of the masses. A half kick with drift 0 makes leapfrog of it.
KERNEL(THREADS) advance(GLOBAL const T4* RESTRICT sums, int slices, GLOBAL const T4* RESTRICT before,
                        GLOBAL T4* RESTRICT after, GLOBAL T4* RESTRICT velocities, GLOBAL T4* RESTRICT accelerations,
                        int first, int count, T scale, T kick, T drift, T damping) {
    const int i = GROUP_X * THREADS + LANE;
    if (i >= count) return;
    T ax = 0, ay = 0, az = 0;
    for (int s = 0; s < slices; s++) {
        const T4 part = sums[s * count + i];
        ax += part.x; ay += part.y; az += part.z;
    }
    ax *= scale; ay *= scale; az *= scale;
    accelerations[i] = four(ax, ay, az, 0);
    const T4 v = velocities[i], x = before[first + i];
    const T vx = (v.x + ax * kick) * damping, vy = (v.y + ay * kick) * damping, vz = (v.z + az * kick) * damping;
    velocities[i] = four(vx, vy, vz, v.w);
    after[first + i] = four(x.x + vx * drift, x.y + vy * drift, x.z + vz * drift, x.w);
}
