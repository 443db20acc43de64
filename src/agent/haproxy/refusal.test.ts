import { describe, expect, it } from 'vitest';
import { id } from '../../plan/haproxy/wanted.fixture.ts';
import { blame, failureOf, HaproxyRefusal } from './refusal.ts';

const sections = [
  { from: 10, to: 20, listenerId: id('l', 1), poolId: null },
  { from: 22, to: 30, listenerId: id('l', 1), poolId: id('p', 1) },
];
const alert = (text: string) => `[ALERT]    (123) : ${text}\n`;
const fatal = alert('config : Fatal errors found in configuration.');

describe('a refusal of HAProxy', () => {
  it('is blamed on the listener or the pool whose line it names', () => {
    const said =
      alert("config : parsing [haproxy.cfg:12] : 'bind 127.0.0.1:80' : unable to load certificate") +
      alert("config : [haproxy.cfg:25] : 'server x' : unable to load CA file") +
      fatal;
    expect([...blame(said, sections)]).toEqual([
      [id('l', 1), "HAProxy: 'bind 127.0.0.1:80' : unable to load certificate"],
      [id('p', 1), "HAProxy: 'server x' : unable to load CA file"],
    ]);
  });

  it('is blamed on the frontend or backend it names when there is no line', () => {
    const bind = `Starting frontend ${id('l', 1)}: cannot bind socket (Address already in use) [127.0.0.1:80]`;
    expect([...blame(alert(bind), sections).keys()]).toEqual([id('l', 1)]);
    const backend = `config : backend '${id('p', 1)}:${id('l', 1)}' has no server`;
    expect([...blame(alert(backend), sections).keys()]).toEqual([id('p', 1)]);
  });

  it('is nobody’s when it names nobody, and its first reason is what is said', () => {
    const said = `${alert('[haproxy.main()] Cannot raise FD limit to 26377, limit is 20000.')}${fatal}`;
    expect(blame(said, sections).size).toBe(0);
    expect(new HaproxyRefusal(said).message).toContain('Cannot raise FD limit to 26377');
  });

  it('is none when HAProxy said nothing: then something befell it', () => {
    expect(failureOf(fatal, 'HAProxy ended')).not.toBeInstanceOf(HaproxyRefusal);
    expect(failureOf('', 'HAProxy ended').message).toBe('HAProxy ended: it said nothing');
    expect(failureOf(alert('config : no'), 'HAProxy ended')).toBeInstanceOf(HaproxyRefusal);
  });
});
