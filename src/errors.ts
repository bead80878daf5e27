/**
 * Every code that an error of memdrift can carry, and what it means for the caller. One list: the
 * native core has the same names in native/errors.h, and a test compares the two.
 */
export const errorCodes = {
  ERR_BUSY: 'somebody else holds what is needed and did not let go in time',
  ERR_CHECK: 'content that was read is not the content that was written',
  ERR_CLOSED: 'the object was closed or released before this call',
  ERR_CORRUPT: 'shared memory holds what no memdrift process writes',
  ERR_DENIED: 'the kernel refuses this user',
  ERR_DIED: 'a process of the run died',
  ERR_EXISTS: 'the name is taken',
  ERR_FULL: 'no room: the store, the segment or the file system is full',
  ERR_GONE: 'the process, object or segment does not exist any more',
  ERR_INTERRUPTED: 'a signal asked the run to end',
  ERR_INVALID: 'an argument is not of the form that the call takes',
  ERR_MALFORMED: 'text or bytes do not have the form that their format says',
  ERR_NO_BINARY: 'no native part for this platform could be loaded',
  ERR_NO_MEMORY: 'the kernel has no memory or address space for it',
  ERR_STATE: 'the call is not allowed in the state that the object is in',
  ERR_SYSTEM: 'a system call failed in a way that has no code of its own; see errno',
  ERR_TIMEOUT: 'it did not happen in the time that was given',
  ERR_TOO_LARGE: 'the size is more than this Node or this store can hold',
  ERR_UNSUPPORTED: 'this system or kernel does not have what is needed',
} as const;

export type ErrorCode = keyof typeof errorCodes;

/** The values that belong to an error: what was tried, on what, and how the system answered. */
export type ErrorDetails = Readonly<Record<string, unknown>> & { readonly cause?: unknown };

/**
 * The one error class of memdrift. `code` is for programs, `message` for people: it names what was
 * tried, the value, and what to do next; `details` has the values (`errno`, `pid`, `name`, …).
 */
export class MemdriftError extends Error {
  readonly code: ErrorCode;
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'MemdriftError';
    this.code = code;
    this.details = details;
  }
}

/** True if `error` is a MemdriftError, with `code` if given; survives two copies of the package. */
export function isMemdriftError(error: unknown, code?: ErrorCode): error is MemdriftError {
  if (!(error instanceof Error) || error.name !== 'MemdriftError') return false;
  return code === undefined || (error as MemdriftError).code === code;
}
