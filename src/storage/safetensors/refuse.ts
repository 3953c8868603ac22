import { type Details, GrailError } from '../../protocol/errors.ts';

/** The error for a file that is not sound. */
export function unsound(file: string, what: string, details: Details = {}): GrailError {
  return new GrailError('TENSORS_INVALID', `${file} is no sound safetensors file: ${what}`, details);
}
