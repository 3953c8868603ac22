import { GrailError } from '../../protocol/errors.ts';
import { formatS3Url, type S3Location } from './location.ts';

const OTHER_REGION = 'the bucket is in another region: set region in the URL';
const LATE = 'it did not answer in time: see that it is up, and not overloaded';

/** What a person does about a failure, by the error’s name. */
const ADVICE = new Map(
  Object.entries({
    NoSuchBucket: 'there is no such bucket: make it, or correct its name or the endpoint',
    AccessDenied:
      'access is denied: grant s3:GetObject, s3:PutObject and s3:DeleteObject on the objects and s3:ListBucket on the bucket',
    InvalidAccessKeyId: 'the access key is not known there: set AWS_ACCESS_KEY_ID, or the profile',
    SignatureDoesNotMatch: 'the secret key is wrong: set AWS_SECRET_ACCESS_KEY, or the profile',
    ExpiredToken: 'the credentials have expired: get new ones',
    InvalidToken: 'the session token is wrong: set AWS_SESSION_TOKEN, or the profile',
    RequestTimeTooSkewed: 'the clocks differ too much: set the one of this machine',
    CredentialsProviderError:
      'there are no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE',
    'Region is missing': 'no region is set: put region into the URL, or set AWS_REGION',
    PermanentRedirect: OTHER_REGION,
    AuthorizationHeaderMalformed: OTHER_REGION,
    AbortError: LATE,
    TimeoutError: LATE,
  }),
);

/** Longest text of a server that is repeated. */
const MAX_REASON = 300;

/**
 * STORAGE_UNAVAILABLE for whatever a call of the SDK threw, with what a person does about it. The error itself is not kept
 * as the cause: it holds the request, and with it a session token.
 */
export function s3Failure(operation: string, location: S3Location, error: unknown): GrailError {
  const { name, message, code } = error as NodeJS.ErrnoException;
  const status = (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode;
  const place = formatS3Url(location);
  // An answer to HEAD has no body, and with it no name.
  const refused = status === 403 ? ADVICE.get('AccessDenied') : undefined;
  const advice =
    ADVICE.get(name) ??
    ADVICE.get(message) ??
    refused ??
    'it does not answer as it should: see that it is up';
  return new GrailError('STORAGE_UNAVAILABLE', `${place}: ${advice}`, {
    place,
    operation,
    reason: `${name}: ${message || code}`.slice(0, MAX_REASON),
    ...(status !== undefined && { status }),
  });
}
