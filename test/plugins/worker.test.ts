/** Runs beside each other: in one worker and in several, over one store. */
import { Database } from 'bun:sqlite';
import { afterEach, describe, expect, test } from 'bun:test';
import { type Bench, by, command, handlerFile, plainHandlerFile } from './folder.ts';
import { benches } from './opened.ts';

const open = benches();
const gates: Gate[] = [];

/** What handlers wait at: a server on which each name is answered once it is opened. */
class Gate {
  readonly #waiting = new Map<string, PromiseWithResolvers<void>>();
  readonly #arrived = new Map<string, PromiseWithResolvers<void>>();
  readonly #server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    idleTimeout: 0,
    fetch: async (request) => {
      const name = new URL(request.url).pathname.slice(1);
      this.#of(this.#arrived, name).resolve();
      await this.#of(this.#waiting, name).promise;
      return new Response();
    },
  });

  /** Code that waits. */
  wait(name: string): string {
    return `await fetch('${this.#server.url}${name}');`;
  }

  arrived(name: string): Promise<void> {
    return this.#of(this.#arrived, name).promise;
  }

  open(name: string): void {
    this.#of(this.#waiting, name).resolve();
  }

  stop(): void {
    void this.#server.stop(true);
  }

  #of(map: Map<string, PromiseWithResolvers<void>>, name: string): PromiseWithResolvers<void> {
    const found = map.get(name) ?? Promise.withResolvers<void>();
    map.set(name, found);
    return found;
  }
}

function newGate(): Gate {
  const gate = new Gate();
  gates.push(gate);
  return gate;
}

afterEach(() => {
  for (const gate of gates.splice(0)) gate.stop();
});

const accounts = {
  'migrations/0001_account.sql':
    "create table account (name text primary key, amount integer not null); insert into account values ('a', 100), ('b', 100), ('c', 100);",
};
const total = 'store.get`select sum(amount) as n from account`.n';

function read<R>(bench: Bench, sql: string): R[] {
  const database = new Database(bench.storePath, { readonly: true });
  try {
    return database.query<R, []>(sql).all();
  } finally {
    database.close();
  }
}

describe('in one worker', () => {
  test('while a run awaits something, others begin and end', async () => {
    const gate = newGate();
    const bench = await open({
      'slow.ts': handlerFile('slow', `${gate.wait('slow')} publish('done', 'slow');`),
      'fast.ts': plainHandlerFile('fast', "publish('done', 'fast');"),
    });
    bench.dispatch(command('slow', '', by('a')), 1);
    await gate.arrived('slow');
    bench.dispatch(command('fast', '', by('b')), 2);
    await bench.until(() => bench.sent.length === 1);
    gate.open('slow');
    await bench.until(() => bench.sent.length === 2);
    expect(bench.texts).toEqual(['done fast', 'done slow']);
  });

  test('the commands of one user do not overlap', async () => {
    const bench = await open({
      'turn.ts': handlerFile(
        'turn',
        "publish('in', input); await Bun.sleep(1); publish('out', input);",
      ),
    });
    await bench.run(...[1, 2, 3].map((input) => command('turn', input)));
    expect(bench.texts).toEqual([1, 2, 3].flatMap((input) => [`in ${input}`, `out ${input}`]));
  });

  test('a run that reads is done while another that wrote awaits something, and sees nothing of it', async () => {
    const gate = newGate();
    const bench = await open({
      'write.ts': handlerFile(
        'write',
        `store.run\`update account set amount = 0\`; ${gate.wait('write')} publish('done', 'write');`,
      ),
      'read.ts': plainHandlerFile('read', `publish('done', ${total});`),
      ...accounts,
    });
    bench.dispatch(command('write', '', by('a')), 1);
    await gate.arrived('write');
    bench.dispatch(command('read', '', by('b')), 2);
    await bench.until(() => bench.sent.length === 1);
    gate.open('write');
    await bench.until(() => bench.sent.length === 2);
    await bench.run(command('read', '', by('b')));
    expect(bench.texts).toEqual(['done 300', 'done write', 'done 0']);
  });

  test('a run that wants to write while another stands in the transaction comes after it, in the same attempt', async () => {
    const gate = newGate();
    const bench = await open({
      'hold.ts': handlerFile(
        'hold',
        `store.run\`update account set amount = amount + 1\`; ${gate.wait('hold')} publish('done', 'hold');`,
      ),
      'add.ts': plainHandlerFile(
        'add',
        "console.log('begun'); store.run`update account set amount = amount * 2`; publish('done', context.invocation.attempt);",
      ),
      ...accounts,
    });
    bench.dispatch(command('hold', '', by('a')), 1);
    await gate.arrived('hold');
    bench.dispatch(command('add', '', by('b')), 2);
    await bench.until(() => bench.ofKind('handler-log').length === 1);
    expect(bench.sent).toEqual([]);
    gate.open('hold');
    await bench.until(() => bench.sent.length === 2);
    expect(bench.texts).toEqual(['done hold', 'done 1']);
    expect(read(bench, 'select distinct amount from account')).toEqual([{ amount: 202 }]);
    expect(bench.faults).toEqual([]);
  });
});

describe('in several workers', () => {
  test('a run that reads is done while one in another worker keeps the right to write', async () => {
    const gate = newGate();
    const bench = await open(
      {
        'write.ts': handlerFile(
          'write',
          `store.run\`update account set amount = 0\`; ${gate.wait('write')} publish('done', 'write');`,
        ),
        'read.ts': plainHandlerFile('read', `publish('done', ${total});`),
        ...accounts,
      },
      { workers: 3 },
    );
    bench.dispatch(command('write', '', by('a')), 1);
    await gate.arrived('write');
    for (let index = 0; index < 20; index++)
      bench.dispatch(command('read', '', by(`b${index}`)), 2 + index);
    await bench.until(() => bench.sent.length === 20);
    gate.open('write');
    await bench.until(() => bench.sent.length === 21);
    expect(bench.texts).toEqual([...Array(20).fill('done 300'), 'done write']);
  });

  test('a run whose reads are out of date when it writes is begun anew, and not counted twice', async () => {
    const gate = newGate();
    const bench = await open(
      {
        'slow.ts': handlerFile(
          'slow',
          `const { n } = store.get\`select amount as n from account where name = 'a'\`;
           console.log('read', n);
           ${gate.wait('slow')}
           store.run\`update account set amount = \${n + 1} where name = 'a'\`;
           publish('done', context.invocation.attempt);`,
        ),
        'fast.ts': plainHandlerFile(
          'fast',
          "store.run`update account set amount = 200 where name = 'a'`;",
        ),
        ...accounts,
      },
      { workers: 2 },
    );
    bench.dispatch(command('slow', '', by('a')), 1);
    await gate.arrived('slow');
    bench.dispatch(command('fast', '', by('b')), 2);
    await bench.until(() => bench.handled.includes(2));
    gate.open('slow');
    await bench.until(() => bench.handled.includes(1));
    expect(bench.texts).toEqual(['done 1']);
    expect(bench.ofKind('handler-log').map(({ message }) => message)).toEqual([
      'read 100',
      'read 200',
    ]);
    expect(read(bench, "select amount from account where name = 'a'")).toEqual([{ amount: 201 }]);
  });

  test('amounts that are read, then written, in many runs at a time, keep their sum', async () => {
    const move = (between: string) => `
      const amountOf = (name) => store.get\`select amount from account where name = \${name}\`.amount;
      const from = amountOf(input.from), to = amountOf(input.to);
      ${between}
      store.run\`update account set amount = \${from - 1} where name = \${input.from}\`;
      store.run\`update account set amount = \${to + 1} where name = \${input.to}\`;
      store.run\`insert into moved values (\${input.from}, \${input.to})\`;`;
    const bench = await open(
      {
        'quick.ts': plainHandlerFile('quick', move('')),
        'slow.ts': handlerFile('slow', move('await Bun.sleep(0);')),
        'total.ts': plainHandlerFile('total', `publish('total', ${total});`),
        'migrations/0002_moved.sql': 'create table moved (source text, target text);',
        ...accounts,
      },
      { workers: 4 },
    );
    const names = ['a', 'b', 'c'];
    const commands = Array.from({ length: 240 }, (_, index) => {
      const input = { from: names[index % 3], to: names[(index + 1 + (index % 2)) % 3] };
      const topic = index % 10 === 0 ? 'total' : index % 3 === 0 ? 'slow' : 'quick';
      return command(topic, input, by(`user${index % 16}`));
    });
    await bench.run(...commands);
    expect(bench.faults).toEqual([]);
    expect(new Set(bench.texts)).toEqual(new Set(['total 300']));
    const moved = read<{ n: number }>(bench, 'select count(*) as n from moved');
    expect(moved).toEqual([{ n: 216 }]);
    expect(
      read(
        bench,
        `select name, amount - 100 + (select count(*) from moved where source = name)
           - (select count(*) from moved where target = name) as wrong from account`,
      ),
    ).toEqual(names.map((name) => ({ name, wrong: 0 })));
  });

  const stuck = {
    'a loop': 'for (;;) {}',
    'a statement that takes long':
      'store.get`with recursive c (n) as (values (1) union all select n + 1 from c where n < 6000000) select count(*) from c`; for (;;) {}',
    'the end of its process': 'process.exit(1);',
  };
  test.each(Object.entries(stuck))(
    'a worker that is ended in the midst of %s keeps nobody from writing, and leaves nothing',
    async (_name, code) => {
      const bench = await open(
        {
          'stuck.ts': plainHandlerFile(
            'stuck',
            `store.run\`update account set amount = 0\`; ${code}`,
            'timeoutMs: 50, retry: false,',
          ),
          'add.ts': plainHandlerFile('add', 'store.run`update account set amount = amount + 1`;'),
          ...accounts,
        },
        { workers: 2 },
      );
      await bench.run(
        command('stuck', '', by('a')),
        command('add', '', by('b')),
        command('add', '', by('c')),
      );
      expect(bench.faults.length).toBe(1);
      expect(read(bench, 'select distinct amount from account')).toEqual([{ amount: 102 }]);
    },
  );
});

test('a run that wrote leaves its mark until the broker has what it sent', async () => {
  const bench = await open({
    'write.ts': plainHandlerFile('write', "store.keys.set('a', 1); send('a', 'x', 1);"),
    'read.ts': plainHandlerFile('read', "store.keys.get('a'); send('a', 'y', 1);"),
  });
  const marks = () => read(bench, 'select message, handler from bellhop_processed');
  bench.dispatch(command('write'), 7);
  bench.dispatch(command('read'), 8);
  bench.dispatch(command('write'), 0);
  await bench.until(() => bench.sent.length === 3);
  expect(marks()).toEqual([{ message: 7, handler: 'write' }]);
  bench.pool.stored(bench.position);
  await bench.run(command('write'));
  expect(marks()).toEqual([{ message: bench.handled.at(-1) ?? 0, handler: 'write' }]);
});
