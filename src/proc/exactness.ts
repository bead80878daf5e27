/** How a figure came to be; every figure of memdrift's says one of these. */

/**
 * exact: the kernel or the runtime states it. kernel: within the error of the kernel's counters.
 * sampled: seen at times. estimated: by a rule that is said beside it.
 */
export type Exactness = 'exact' | 'kernel' | 'sampled' | 'estimated';
