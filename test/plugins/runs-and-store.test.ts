/** Runs that use the store, in real workers. */
import { Database } from 'bun:sqlite';
import { describe, expect, test } from 'bun:test';
import { by, command, handlerFile, plainHandlerFile } from './folder.ts';
import { benches } from './opened.ts';

const opened = benches();

describe('the store', () => {
  const migrations = {
    'migrations/0001_count.sql':
      'create table count (name text primary key, n integer not null) strict;',
  };
  const count = "store.run`insert into count values ('a', 1) on conflict do update set n = n + 1`;";

  test('writes and sends of a run are one: both, or neither', async () => {
    const bench = await opened({
      ...migrations,
      'count.ts': plainHandlerFile(
        'count',
        `${count} send('x', 'n', store.get\`select n from count\`); if (input) throw new Error('no');`,
      ),
      'later.ts': handlerFile(
        'later',
        `${count} await null; send('x', 'n', store.get\`select n from count\`); if (input) throw new Error('no');`,
      ),
    });
    await bench.run(
      ...['count', 'later', 'count', 'later'].flatMap((topic) => [
        command(topic),
        command(topic, 'true'),
      ]),
    );
    expect(bench.texts).toEqual([1, 2, 3, 4].map((n) => `x_n {"n":${n}}`));
    const database = new Database(bench.storePath);
    expect(database.query('select n from count').values()).toEqual([[4]]);
    database.close();
  });

  test('a run that comes to the store late stands in no transaction of others', async () => {
    const bench = await opened({
      ...migrations,
      'count.ts': plainHandlerFile('count', count),
      'late.ts': handlerFile('late', `await null; ${count} await null; throw new Error('no');`),
    });
    const order = ['count', 'count', 'late', 'count', 'late', 'late', 'count'];
    // The first time, handlers are given one by one; then that they are quick is known.
    for (let round = 1; round <= 20; round++) {
      await bench.run(...order.map((topic) => command(topic)));
      const database = new Database(bench.storePath);
      expect(database.query('select n from count').values()).toEqual([[4 * round]]);
      database.close();
    }
  });

  test("workers do not lose each other's writes", async () => {
    const bench = await opened(
      {
        ...migrations,
        'count.ts': plainHandlerFile(
          'count',
          `const n = store.get\`select n from count\`?.n ?? 0;
           store.run\`insert into count values ('a', \${n + 1}) on conflict do update set n = \${n + 1}\`;`,
        ),
      },
      { workers: 3 },
    );
    const messages = [...Array(300).keys()].map((index) => command('count', '', by(`u${index}`)));
    await bench.run(...messages);
    expect(bench.faults).toEqual([]);
    const database = new Database(bench.storePath);
    expect(database.query('select n from count').values()).toEqual([[300]]);
    database.close();
  });

  test('a worker that ends leaves nothing behind of what it was doing, and holds nobody up', async () => {
    const bench = await opened(
      {
        ...migrations,
        'stuck.ts': plainHandlerFile('stuck', `${count} for (;;);`),
        'exit.ts': handlerFile('exit', `${count} send('x', 'gone'); await null; process.exit();`),
        'count.ts': plainHandlerFile('count', count),
      },
      { timeoutMs: 300, workers: 2 },
    );
    const counts = (user: string) => [...Array(20)].map(() => command('count', '', by(user)));
    await bench.run(
      ...counts('a'),
      command('stuck', '', by('a')),
      ...counts('a'),
      command('exit', '', by('b')),
      ...counts('b'),
    );
    expect(
      bench
        .ofKind('run-failed')
        .map(({ fault }) => fault.kind)
        .sort(),
    ).toEqual(['timeout', 'worker-lost']);
    expect(bench.sent).toEqual([]);
    const database = new Database(bench.storePath);
    expect(database.query('select n from count').values()).toEqual([[60]]);
    database.close();
  });

  test('a run that breaks the transaction fails alone', async () => {
    const bench = await opened({
      ...migrations,
      'count.ts': plainHandlerFile(
        'count',
        `${count} send('x', 'n', store.get\`select n from count\`?.n);`,
      ),
      'break.ts': plainHandlerFile(
        'break',
        "store.run`insert or rollback into count values ('a', 100)`;",
      ),
      'hidden.ts': plainHandlerFile(
        'hidden',
        "send('x', 'hidden'); try { store.run`insert or rollback into count values ('a', 100)` } catch {}",
      ),
    });
    const order = ['count', 'count', 'break', 'count', 'hidden', 'count'];
    await bench.run(...order.map((topic) => command(topic)));
    expect(bench.texts).toEqual(['x_n 1', 'x_n 2', 'x_n 3', 'x_n 4']);
    expect(
      bench.ofKind('run-failed').map(({ run, fault }) => `${run.handler} ${fault.kind}`),
    ).toEqual(['break failed', 'hidden store']);
    expect(bench.ofKind('worker-replaced')).toEqual([]);
  });

  test('what is done once more because its commit failed comes before what its user asked for later', async () => {
    const bench = await opened({
      ...migrations,
      'count.ts': handlerFile('count', `await new Promise(setImmediate); ${count}`),
      'hidden.ts': plainHandlerFile(
        'hidden',
        "try { store.run`insert or rollback into count values ('a', 100)` } catch {}",
      ),
      'later.ts': handlerFile(
        'later',
        "await new Promise(setImmediate); send('x', 'n', store.get`select n from count`?.n);",
      ),
    });
    const round = ['count', 'hidden', 'later'].map((topic) => command(topic));
    // Once all are known to be short, a worker is given all three at once.
    for (let n = 1; n <= 20; n++) await bench.run(...round);
    expect(bench.texts).toEqual([...Array(20).keys()].map((n) => `x_n ${n + 1}`));
  });

  test('what is sent by a run that follows one whose commit failed goes out behind what that one sends', async () => {
    const bench = await opened({
      ...migrations,
      'count.ts': plainHandlerFile(
        'count',
        `${count} send('x', 'n', store.get\`select n from count\`?.n);`,
      ),
      'hidden.ts': plainHandlerFile(
        'hidden',
        "try { store.run`insert or rollback into count values ('a', 100)` } catch {}",
      ),
      'note.ts': plainHandlerFile('note', "send('x', 'noted', input);"),
      'fail.ts': plainHandlerFile('fail', "throw new Error('no');"),
    });
    const expected: string[] = [];
    for (let n = 1; n <= 20; n++) {
      const round = [command('count'), command('hidden'), command('fail'), command('note', `${n}`)];
      await bench.run(...round);
      expected.push(`x_n ${n}`, `x_noted ${n}`);
    }
    expect(bench.texts).toEqual(expected);
  });

  test('a run that awaited something while the commit of the one before it failed is told of behind it', async () => {
    const bench = await opened({
      ...migrations,
      'count.ts': handlerFile(
        'count',
        `${count} if (globalThis.holds && globalThis.counted) await globalThis.noted.promise;
         globalThis.counted = true; send('x', 'n', store.get\`select n from count\`?.n);`,
      ),
      'hidden.ts': plainHandlerFile(
        'hidden',
        "try { store.run`insert or rollback into count values ('a', 100)` } catch {}",
      ),
      'note.ts': handlerFile(
        'note',
        `if (globalThis.holds) await new Promise(setImmediate);
         send('x', 'noted', input); globalThis.noted?.resolve();`,
      ),
      'hold.ts': plainHandlerFile(
        'hold',
        'globalThis.holds = true; globalThis.counted = false; globalThis.noted = Promise.withResolvers();',
      ),
    });
    const round = (n: number) => [command('count'), command('hidden'), command('note', `${n}`)];
    for (let n = 1; n <= 20; n++) await bench.run(...round(n));
    await bench.run(command('hold'), ...round(21));
    const expected = [...Array(21).keys()].flatMap((n) => [`x_n ${n + 1}`, `x_noted ${n + 1}`]);
    expect(bench.texts).toEqual(expected);
  });

  describe('while a run stands in the transaction and awaits something', () => {
    const holding = {
      ...migrations,
      'count.ts': plainHandlerFile(
        'count',
        `${count} send('x', 'n', store.get\`select n from count\`?.n);`,
      ),
      'hold.ts': handlerFile(
        'hold',
        `store.run\`delete from count where name = 'b'\`; globalThis.held ??= Promise.withResolvers();
         if (input) { log.info('holds'); await globalThis.held.promise; send('x', 'held'); }`,
      ),
      'list.ts': plainHandlerFile('list', "send('x', 'list', store.get`select n from count`?.n);"),
      'note.ts': plainHandlerFile('note', "send('x', 'noted');"),
      'other.ts': plainHandlerFile(
        'other',
        "if (input) globalThis.held.resolve(); send('x', 'other');",
      ),
    };

    test('what its user asked for before is told in order, whether it wrote or not', async () => {
      const bench = await opened(holding);
      const round = ['count', 'note', 'hold'];
      // Once all are known to be short, a worker is given all three at once.
      for (let n = 1; n <= 20; n++) await bench.run(...round.map((topic) => command(topic)));
      const done = bench.handled.length;
      bench.sent.length = 0;
      bench.dispatch(command('count'), done + 1);
      bench.dispatch(command('note'), done + 2);
      bench.dispatch(command('hold', 'true'), done + 3);
      await bench.until(() => bench.ofKind('handler-log').length === 1);
      bench.dispatch(command('other', 'true', by('zoe')), done + 4);
      await bench.until(() => bench.handled.length === done + 4);
      const told = bench.texts.filter((text) => text !== 'x_other ');
      expect(told).toEqual(['x_n 21', 'x_noted ', 'x_held ']);
    });

    test('what another user asks for sees what that user wrote before, and is told of behind it', async () => {
      const bench = await opened(holding);
      for (let n = 1; n <= 20; n++) {
        await bench.run(command('count'), command('hold', '', by('eve')));
      }
      const done = bench.handled.length;
      bench.sent.length = 0;
      bench.dispatch(command('count'), done + 1);
      bench.dispatch(command('hold', 'true', by('eve')), done + 2);
      await bench.until(() => bench.ofKind('handler-log').length === 1);
      bench.dispatch(command('list'), done + 3);
      bench.dispatch(command('note'), done + 4);
      bench.dispatch(command('other', '', by('zoe')), done + 5);
      await bench.until(() => bench.texts.includes('x_other '));
      bench.dispatch(command('other', 'true', by('zoe')), done + 6);
      await bench.until(() => bench.handled.length === done + 6);
      const own = bench.texts.filter((text) => !['x_other ', 'x_held '].includes(text));
      expect(own).toEqual(['x_n 21', 'x_list 21', 'x_noted ']);
    });
  });

  test('nothing that ends, leaves or hides a transaction can be run', async () => {
    const statements = [
      'commit',
      'ROLLBACK',
      '/* */ begin',
      'pragma user_version',
      "attach 'x' as y",
      'savepoint a',
      'end',
      'vacuum',
      '',
      '-- nothing',
      'select 1; select 2',
    ];
    const bench = await opened({
      'try.ts': plainHandlerFile(
        'try',
        `const tagged = (text) => Object.assign([text], { raw: [text] });
         try { store.all(tagged(input)); } catch (error) { return send('x', 'refused', error.message); }
         send('x', 'done');`,
      ),
      'values.ts': plainHandlerFile('values', `store.get\`select \${input.missing}\`;`),
    });
    const fine = [
      "select ';' as a -- ; no\n;",
      'create table t (a); ',
      'create trigger r insert on t begin select 1; select 2; end',
    ];
    await bench.run(...[...statements, ...fine].map((sql) => command('try', JSON.stringify(sql))));
    expect(bench.texts.map((text) => text.startsWith('x_refused'))).toEqual([
      ...statements.map(() => true),
      ...fine.map(() => false),
    ]);
    await bench.run(command('values', '{}'));
    expect(bench.faults).toEqual([
      'failed values.ts:5: value 1 of the statement is undefined; write null where that is meant',
    ]);
  });

  test('without migrations and use there is no file', async () => {
    const bench = await opened({ 'a.ts': plainHandlerFile('a', '') });
    await bench.run(command('a'));
    expect(await Bun.file(bench.storePath).exists()).toBe(false);
  });
});
