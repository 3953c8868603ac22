import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { GrailError } from '../../src/protocol/errors.ts';
import { type Bus, type Job, type JobSettings, MAX_BUS_BYTES } from '../../verifier/bus/bus.ts';
import { MAX_QUEUED_BYTES } from '../../verifier/bus/limits.ts';
import { expectCode } from './expect-code.ts';

const SETTINGS: JobSettings = {
  leaseMs: 10_000,
  attempts: 3,
  retryMs: 20,
  capacity: 64,
  keepMs: 60_000,
};

const never = new AbortController().signal;
const options = { signal: never };
const bytes = (...values: number[]) => Uint8Array.from(values);
const TRACE = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

let ids = 0;

/** A job that nobody has asked for yet. */
export function newJob(payload: Uint8Array = bytes(1)): Job {
  ids++;
  return { kind: 'replay', id: ids.toString(16).padStart(64, '0'), payload };
}

/** Waits until a check passes. */
export function eventually(check: () => void | Promise<void>): Promise<void> {
  return vi.waitFor(check, { timeout: 30_000, interval: 5 });
}

/** A promise that is kept when the test says so. */
function gate(): PromiseWithResolvers<void> {
  return Promise.withResolvers<void>();
}

/**
 * Holds a bus to its interface.
 * @param open gives the bus as two processes see it; in one process both are the same
 */
export function busCompliance(
  open: (settings: JobSettings) => Promise<{ readonly here: Bus; readonly there: Bus }>,
): void {
  let here: Bus;
  let there: Bus;

  async function openWith(settings: Partial<JobSettings>): Promise<void> {
    await Promise.all([here.close(), there.close()]);
    ({ here, there } = await open({ ...SETTINGS, ...settings }));
  }

  /** Resolves when the other side knows what this one listens to. */
  const heard = (bus: Bus) => bus.jobs.depth('replay');

  beforeEach(async () => {
    ({ here, there } = await open(SETTINGS));
  });

  afterEach(async () => {
    await Promise.all([here.close(), there.close()]);
  });

  describe('messages', () => {
    test('what is published reaches everybody who listens to its subject, once', async () => {
      const got: string[] = [];
      here.subscribe('entries', (message) => got.push(`here ${message}`));
      there.subscribe('entries', (message) => got.push(`there ${message}`));
      there.subscribe('entries.other', (message) => got.push(`other ${message}`));
      await heard(there);
      here.publish('entries', bytes(1));
      here.publish('entries', bytes(2));
      await eventually(() => expect(got.length).toBeGreaterThanOrEqual(4));
      await heard(there);
      expect(got.toSorted()).toEqual(['here 1', 'here 2', 'there 1', 'there 2']);
    });

    test('what is published before somebody listens is lost to him', async () => {
      const got: string[] = [];
      here.publish('entries', bytes(1));
      await heard(here);
      there.subscribe('entries', (message) => got.push(String(message)));
      await heard(there);
      here.publish('entries', bytes(2));
      await eventually(() => expect(got.length).toBeGreaterThan(0));
      expect(got).toEqual(['2']);
    });

    test('who has ended listening hears nothing', async () => {
      const got: string[] = [];
      const end = there.subscribe('entries', () => got.push('ended'));
      there.subscribe('entries', () => got.push('listening'));
      end();
      await heard(there);
      here.publish('entries', bytes(1));
      await eventually(() => expect(got.length).toBeGreaterThan(0));
      expect(got).toEqual(['listening']);
    });

    test('a listener that throws keeps nobody else from hearing', async () => {
      const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
      const got: string[] = [];
      there.subscribe('entries', () => {
        throw new Error('broken');
      });
      there.subscribe('entries', () => got.push('heard'));
      await heard(there);
      here.publish('entries', bytes(1));
      await eventually(() => expect(got).toEqual(['heard']));
      expect(warned).toHaveBeenCalledOnce();
      warned.mockRestore();
    });

    test('a message, request or job larger than the bus takes is refused', async () => {
      const large = new Uint8Array(MAX_BUS_BYTES + 1);
      await expectCode('TOO_LARGE', () => here.publish('entries', large));
      await expectCode('TOO_LARGE', here.request('submit', large, { timeoutMs: 1_000 }));
      await expectCode('TOO_LARGE', here.jobs.run(newJob(large), options));
    });

    test('a subject or id of another form is refused', async () => {
      expect(() => here.publish('entries.>', bytes())).toThrow(RangeError);
      expect(() => here.subscribe('*', () => {})).toThrow(RangeError);
      await expect(here.jobs.run({ ...newJob(), id: 'x' }, options)).rejects.toThrow(RangeError);
    });
  });

  describe('requests', () => {
    const ask = (subject: string, payload = bytes(1), timeoutMs = 5_000) =>
      there.request(subject, payload, { timeoutMs });

    test('whoever serves a subject answers, and hears the trace of the request', async () => {
      here.serve('submit', async (payload, { trace }) => bytes(payload.length, trace === TRACE ? 1 : 0), {
        concurrency: 1,
        queue: 0,
      });
      await heard(here);
      const payload = new Uint8Array(200);
      expect(await there.request('submit', payload, { timeoutMs: 5_000, trace: TRACE })).toEqual(
        bytes(200, 1),
      );
      expect(await ask('submit', payload)).toEqual(bytes(200, 0));
    });

    test('the largest request and answer pass', async () => {
      here.serve('submit', async (payload) => payload.reverse(), { concurrency: 1, queue: 0 });
      await heard(here);
      const payload = new Uint8Array(MAX_BUS_BYTES);
      payload[0] = 7;
      expect((await ask('submit', payload)).at(-1)).toBe(7);
    });

    test('an error travels with its code, message and details', async () => {
      here.serve(
        'submit',
        async () => {
          throw new GrailError('PHASE_CLOSED', 'too late: “window”\nis closed', { window: 7 });
        },
        { concurrency: 1, queue: 0 },
      );
      await heard(here);
      const error = await expectCode('PHASE_CLOSED', ask('submit'));
      expect(error.message).toBe('too late: “window”\nis closed');
      expect(error.details).toEqual({ window: 7 });
    });

    test('any other error travels as INTERNAL', async () => {
      here.serve('submit', () => Promise.reject(new TypeError('not a function')), {
        concurrency: 1,
        queue: 0,
      });
      await heard(here);
      const error = await expectCode('INTERNAL', ask('submit'));
      expect(error.message).toContain('not a function');
    });

    test('an answer larger than the bus takes is refused', async () => {
      here.serve('submit', async () => new Uint8Array(MAX_BUS_BYTES + 1), { concurrency: 1, queue: 0 });
      await heard(here);
      await expectCode('TOO_LARGE', ask('submit'));
    });

    test('a request that nobody serves is UNREACHABLE', async () => {
      await expectCode('UNREACHABLE', ask('submit'));
    });

    test('a request that is not answered in time is UNREACHABLE', async () => {
      const held = gate();
      here.serve('submit', () => held.promise.then(() => bytes()), { concurrency: 1, queue: 0 });
      await heard(here);
      await expectCode('UNREACHABLE', ask('submit', bytes(), 100));
      held.resolve();
    });

    test('requests are answered so many at a time, and those that would wait behind too many are refused', async () => {
      const held = gate();
      let running = 0;
      let most = 0;
      here.serve(
        'submit',
        async () => {
          most = Math.max(most, ++running);
          await held.promise;
          running--;
          return bytes(9);
        },
        { concurrency: 2, queue: 1 },
      );
      await heard(here);
      const answers = [ask('submit'), ask('submit'), ask('submit')];
      const refused = await expectCode('TOO_MANY_REQUESTS', ask('submit'));
      expect(refused.details.retryAfterSeconds).toBe(1);
      held.resolve();
      expect(await Promise.all(answers)).toEqual([bytes(9), bytes(9), bytes(9)]);
      expect(most).toBe(2);
    });

    test('who stops serving answers what is under way and takes no more', async () => {
      const held = gate();
      const taken = gate();
      const stop = here.serve(
        'submit',
        async () => {
          taken.resolve();
          await held.promise;
          return bytes(9);
        },
        { concurrency: 1, queue: 0 },
      );
      await heard(here);
      const answer = ask('submit');
      await taken.promise;
      const stopped = stop();
      await heard(here);
      await expectCode('UNREACHABLE', ask('submit'));
      held.resolve();
      await stopped;
      expect(await answer).toEqual(bytes(9));
    });
  });

  describe('jobs', () => {
    const one = { concurrency: 1 };

    test('a job is done by a worker of its kind, with its payload and trace', async () => {
      const job = { ...newJob(bytes(1, 2, 3)), trace: TRACE };
      there.jobs.work('proofs', async () => bytes(0), one);
      there.jobs.work(
        'replay',
        async (payload, { attempt, trace }) => bytes(...payload, attempt, trace === TRACE ? 1 : 0),
        one,
      );
      expect(await here.jobs.run(job, options)).toEqual(bytes(1, 2, 3, 1, 1));
    });

    test('the largest payload and result pass', async () => {
      there.jobs.work('replay', async (payload) => payload.reverse(), one);
      const payload = new Uint8Array(MAX_BUS_BYTES);
      payload[0] = 7;
      expect((await here.jobs.run(newJob(payload), options)).at(-1)).toBe(7);
    });

    test('a job that several ask for at once is computed once', async () => {
      let computed = 0;
      const held = gate();
      const job = newJob();
      const results = [
        here.jobs.run(job, options),
        there.jobs.run(job, options),
        here.jobs.run(job, options),
      ];
      there.jobs.work(
        'replay',
        async () => {
          computed++;
          await held.promise;
          return bytes(5);
        },
        { concurrency: 3 },
      );
      await eventually(() => expect(computed).toBe(1));
      results.push(there.jobs.run(job, options));
      held.resolve();
      expect(await Promise.all(results)).toEqual(Array(4).fill(bytes(5)));
      expect(computed).toBe(1);
    });

    test('a result is kept and given to who asks later, when nobody works', async () => {
      const job = newJob();
      const worker = there.jobs.work('replay', async () => bytes(5), one);
      await here.jobs.run(job, options);
      await worker.stop();
      expect(await here.jobs.run(job, options)).toEqual(bytes(5));
      expect(await there.jobs.run(job, options)).toEqual(bytes(5));
    });

    test('a result is kept for so long, then the job is computed again', async () => {
      await openWith({ keepMs: 300 });
      let computed = 0;
      there.jobs.work('replay', async () => bytes(++computed), one);
      const job = newJob();
      expect(await here.jobs.run(job, options)).toEqual(bytes(1));
      await eventually(async () => expect(await here.jobs.run(job, options)).toEqual(bytes(2)));
    });

    test('a job of the same id and another kind is another job', async () => {
      const job = newJob();
      there.jobs.work('replay', async () => bytes(1), one);
      there.jobs.work('proofs', async () => bytes(2), one);
      expect(await here.jobs.run(job, options)).toEqual(bytes(1));
      expect(await here.jobs.run({ ...job, kind: 'proofs' }, options)).toEqual(bytes(2));
    });

    test('a job that fails is tried again, with the payload that was put', async () => {
      there.jobs.work(
        'replay',
        async (payload, { attempt }) => {
          if (attempt === 3) return payload;
          payload.fill(0);
          throw new Error('not yet');
        },
        one,
      );
      expect(await here.jobs.run(newJob(bytes(4)), options)).toEqual(bytes(4));
    });

    test('a job that fails is tried again elsewhere where somebody else has nothing to do', async () => {
      let tried: string[] = [];
      const attempt =
        (name: string) =>
        async (payload: Uint8Array, { attempt }: { attempt: number }) => {
          tried.push(name);
          if (attempt === 1) throw new Error('not here');
          return payload;
        };
      here.jobs.work('replay', attempt('here'), one);
      there.jobs.work('replay', attempt('there'), one);
      // Who asked for a job longest gets it; now and then that is again the one that failed.
      await eventually(async () => {
        tried = [];
        await here.jobs.run(newJob(), options);
        expect(tried.toSorted()).toEqual(['here', 'there']);
      });
    });

    test('the wait before a retry doubles', async () => {
      await openWith({ retryMs: 150 });
      const startsMs: number[] = [];
      there.jobs.work(
        'replay',
        async () => {
          startsMs.push(performance.now());
          throw new Error('no');
        },
        one,
      );
      await expectCode('JOB_FAILED', here.jobs.run(newJob(), options));
      const [first, second, third] = startsMs as [number, number, number];
      expect(second - first).toBeGreaterThan(140);
      expect(third - second).toBeGreaterThan(290);
    });

    test('a job that fails at every attempt lies among the dead letters with its error', async () => {
      const job = newJob(bytes(6, 6));
      there.jobs.work(
        'replay',
        async () => {
          throw new GrailError('BLOB_MISSING', 'the rollouts are gone');
        },
        one,
      );
      const error = await expectCode('JOB_FAILED', here.jobs.run(job, options));
      expect(error.message).toContain('BLOB_MISSING: the rollouts are gone');
      expect(error.details).toEqual({ kind: 'replay', id: job.id, attempts: 3, code: 'BLOB_MISSING' });
      expect(await here.jobs.dead('replay', 10)).toEqual([
        { ...job, attempts: 3, error: { code: 'BLOB_MISSING', message: 'the rollouts are gone' } },
      ]);
      expect(await here.jobs.dead('proofs', 10)).toEqual([]);
      expect(await here.jobs.depth('replay')).toBe(0);
    });

    test('the newest dead letters come first, as many as were asked for', async () => {
      const jobs = [newJob(), newJob(), newJob()] as const;
      there.jobs.work('replay', () => Promise.reject(new Error('no')), one);
      for (const job of jobs) await expectCode('JOB_FAILED', here.jobs.run(job, options));
      const dead = await there.jobs.dead('replay', 2);
      expect(dead.map(({ id }) => id)).toEqual([jobs[2].id, jobs[1].id]);
    });

    test('a job that died is tried again when it is asked for again', async () => {
      const job = newJob();
      let broken = true;
      there.jobs.work(
        'replay',
        async () => {
          if (broken) throw new Error('no');
          return bytes(8);
        },
        one,
      );
      await expectCode('JOB_FAILED', here.jobs.run(job, options));
      broken = false;
      expect(await here.jobs.run(job, options)).toEqual(bytes(8));
    });

    test('a result larger than the bus takes is a failure', async () => {
      there.jobs.work('replay', async () => new Uint8Array(MAX_BUS_BYTES + 1), one);
      const error = await expectCode('JOB_FAILED', here.jobs.run(newJob(), options));
      expect(error.details.code).toBe('TOO_LARGE');
    });

    test('who aborts gets STOPPED, and the job is done all the same', async () => {
      const job = newJob();
      const abort = new AbortController();
      const result = here.jobs.run(job, { signal: abort.signal });
      await eventually(async () => expect(await here.jobs.depth('replay')).toBe(1));
      abort.abort();
      await expectCode('STOPPED', result);
      const computed = gate();
      there.jobs.work(
        'replay',
        async () => {
          computed.resolve();
          return bytes(3);
        },
        one,
      );
      await computed.promise;
      expect(await here.jobs.run(job, options)).toEqual(bytes(3));
    });

    test('who aborts and asks again at once waits for the job as before', async () => {
      const job = newJob();
      const abort = new AbortController();
      const aborted = expectCode('STOPPED', here.jobs.run(job, { signal: abort.signal }));
      abort.abort();
      await aborted;
      const again = here.jobs.run(job, options);
      there.jobs.work('replay', async () => bytes(3), one);
      expect(await again).toEqual(bytes(3));
    });

    test('who aborts leaves others that wait for the same job alone', async () => {
      const job = newJob();
      const abort = new AbortController();
      const aborted = here.jobs.run(job, { signal: abort.signal });
      const waiting = here.jobs.run(job, options);
      abort.abort();
      await expectCode('STOPPED', aborted);
      there.jobs.work('replay', async () => bytes(3), one);
      expect(await waiting).toEqual(bytes(3));
    });

    test('what waits for a job gets STOPPED when the bus is closed, and so does who asks later', async () => {
      const waiting = expectCode('STOPPED', here.jobs.run(newJob(), options));
      await here.close();
      await waiting;
      await expectCode('STOPPED', here.jobs.run(newJob(), options));
    });

    test('beyond its capacity the queue makes `run` wait for room', async () => {
      await openWith({ capacity: 2 });
      const jobs = Array.from({ length: 6 }, (_, i) => newJob(bytes(i)));
      const results = Promise.all(jobs.map((job) => here.jobs.run(job, options)));
      await eventually(async () => expect(await there.jobs.depth('replay')).toBe(2));
      let most = 0;
      there.jobs.work(
        'replay',
        async (payload) => {
          most = Math.max(most, await there.jobs.depth('replay'));
          return payload;
        },
        one,
      );
      expect(await results).toEqual(jobs.map(({ payload }) => payload));
      expect(most).toBe(2);
    });

    test('beyond so many bytes the queue makes `run` wait for room as well', async () => {
      await openWith({ capacity: 1_000 });
      const payload = new Uint8Array(MAX_BUS_BYTES);
      const fit = Math.floor(MAX_QUEUED_BYTES / MAX_BUS_BYTES);
      const results = Promise.all(
        Array.from({ length: fit + 4 }, () => here.jobs.run(newJob(payload), options)),
      );
      await eventually(async () => expect(await there.jobs.depth('replay')).toBeGreaterThan(fit - 2));
      let most = 0;
      there.jobs.work(
        'replay',
        async () => {
          most = Math.max(most, await there.jobs.depth('replay'));
          return bytes(1);
        },
        { concurrency: 4 },
      );
      await results;
      expect(most).toBeGreaterThan(fit - 10);
      expect(most).toBeLessThanOrEqual(fit);
    });

    test('the depth counts jobs of a kind that wait and those that are worked on', async () => {
      const held = gate();
      const started = gate();
      const results = [newJob(), newJob(), newJob()].map((job) => here.jobs.run(job, options));
      await eventually(async () => expect(await there.jobs.depth('replay')).toBe(3));
      there.jobs.work(
        'replay',
        async () => {
          started.resolve();
          await held.promise;
          return bytes(1);
        },
        one,
      );
      await started.promise;
      expect(await there.jobs.depth('replay')).toBe(3);
      expect(await there.jobs.depth('proofs')).toBe(0);
      held.resolve();
      await Promise.all(results);
      await eventually(async () => expect(await there.jobs.depth('replay')).toBe(0));
    });

    test('a worker works on so many jobs at a time', async () => {
      const held = gate();
      let running = 0;
      let most = 0;
      there.jobs.work(
        'replay',
        async () => {
          most = Math.max(most, ++running);
          await held.promise;
          running--;
          return bytes(1);
        },
        { concurrency: 3 },
      );
      const results = Array.from({ length: 9 }, () => here.jobs.run(newJob(), options));
      await eventually(() => expect(running).toBe(3));
      held.resolve();
      await Promise.all(results);
      expect(most).toBe(3);
    });

    test('a lease is renewed while the worker works, however long', async () => {
      await openWith({ leaseMs: 1_200 });
      let computed = 0;
      const work = async () => {
        computed++;
        await sleep(3_600);
        return bytes(1);
      };
      here.jobs.work('replay', work, one);
      there.jobs.work('replay', work, one);
      await here.jobs.run(newJob(), options);
      expect(computed).toBe(1);
    });

    test('a worker that is stopped finishes what it works on and takes no more', async () => {
      const held = gate();
      const started = gate();
      const first = here.jobs.run(newJob(), options);
      const worker = there.jobs.work(
        'replay',
        async (_, { signal }) => {
          started.resolve();
          await held.promise;
          return bytes(signal.aborted ? 0 : 1);
        },
        one,
      );
      await started.promise;
      const stopped = worker.stop();
      const second = here.jobs.run(newJob(), options);
      held.resolve();
      await stopped;
      expect(await first).toEqual(bytes(1));
      await eventually(async () => expect(await here.jobs.depth('replay')).toBe(1));
      here.jobs.work('replay', async (_, { attempt }) => bytes(10 + attempt), one);
      expect(await second).toEqual(bytes(11));
    });

    test('workers that come and go lose no job', async () => {
      await openWith({ leaseMs: 300_000, attempts: 2 });
      const jobs = Array.from({ length: 60 }, (_, i) => newJob(bytes(i)));
      const results = Promise.all(jobs.map((job) => here.jobs.run(job, options)));
      let done = 0;
      const count = async (payload: Uint8Array) => {
        done++;
        return payload;
      };
      while (done < jobs.length) {
        const worker = there.jobs.work('replay', count, { concurrency: 2 });
        await sleep(done % 5);
        await worker.stop();
      }
      expect(await results).toEqual(jobs.map(({ payload }) => payload));
      expect(done).toBe(60);
    });

    test('a worker that does not finish in its grace gives its lease back and is told', async () => {
      await openWith({ leaseMs: 300_000 });
      const started = gate();
      const result = here.jobs.run(newJob(), options);
      let told: AbortSignal | undefined;
      const worker = there.jobs.work(
        'replay',
        async (_, { signal }) => {
          told = signal;
          started.resolve();
          await new Promise((resolve) => signal.addEventListener('abort', resolve));
          return bytes(0);
        },
        one,
      );
      await started.promise;
      await worker.stop({ graceMs: 10 });
      expect(told?.aborted).toBe(true);
      here.jobs.work('replay', async (_, { attempt }) => bytes(attempt), one);
      expect(await result).toEqual(bytes(2));
    });

    test('a closed bus says that it does not work', async () => {
      expect(here.trouble()).toBeNull();
      await here.close();
      expect(here.trouble()).toContain('closed');
    });
  });
}
