/** Blobs in a bucket of S3, or of a server that speaks it. */
export { formatS3Url, parseS3Url, type S3Location } from './location.ts';
export { DEFAULT_S3_LIMITS, S3BlobStore, type S3Limits } from './store.ts';
