/** The public API of memdrift. Named exports only; everything else is internal. */
export {
  type ErrorCode,
  type ErrorDetails,
  errorCodes,
  isMemdriftError,
  MemdriftError,
} from './errors.ts';
