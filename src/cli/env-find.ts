import type { Environment } from '../environments/environment.ts';
import { environmentById, environmentIds } from '../environments/index.ts';
import { GrailError } from '../protocol/errors.ts';

/** Letters and digits alone: `space-invaders`, `Space Invaders` and `SpaceInvaders` are the same. */
const plain = (text: string) => text.toLowerCase().replace(/[^a-z0-9]/g, '');

/**
 * The environment that a person means: its id, or a part of it that no other id has, in any case.
 * @throws GrailError NOT_FOUND with the ids that it may be
 */
export function findEnvironment(name: string, ids: readonly string[] = environmentIds): Environment {
  const wanted = plain(name);
  const same = ids.filter((id) => plain(id) === wanted);
  const found = same.length > 0 ? same : ids.filter((id) => wanted !== '' && plain(id).includes(wanted));
  if (found.length === 1) return environmentById(found[0]!);
  const message =
    found.length > 1
      ? `several environments have '${name}' in their name: write more of it`
      : `there is no environment '${name}': take one of the candidates`;
  throw new GrailError('NOT_FOUND', message, { got: name, candidates: found.length > 1 ? found : ids });
}
