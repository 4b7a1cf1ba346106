// The device's peak: CHAINS independent chains of fused products a thread, `rounds` long. Two flops each.
// One text for CUDA C++ and OpenCL C, as nbody.cu.
#define CHAINS 16

KERNEL(THREADS) peak(GLOBAL T* out, int rounds, T factor, T term) {
    T x[CHAINS];
#pragma unroll
    for (int c = 0; c < CHAINS; c++) x[c] = (T)(LANE + c);
#pragma unroll 8
    for (int round = 0; round < rounds; round++) {
#pragma unroll
        for (int c = 0; c < CHAINS; c++) x[c] = fma(x[c], factor, term);
    }
    T sum = 0;
#pragma unroll
    for (int c = 0; c < CHAINS; c++) sum += x[c];
    if (sum == (T)-1) out[LANE] = sum;  // never, but the compiler does not know
}
