// The plugin {{name}}: its commands.

import { greeting } from './greeting.js';
import { ReefError, apply, plugin, read, text } from './reef.js';

function greet(name) {
  if (name.length === 0) throw new ReefError('nobody has no name');
  const who = text(name);
  // Both or none: if `{{name}}:log` is no list, nobody is counted.
  const [times] = apply([
    ['INCR', `{{name}}:count:${who}`],
    ['RPUSH', '{{name}}:log', who],
  ]);
  return greeting(who, times);
}

function count(name) {
  const { replies: [times] } = read([['GET', `{{name}}:count:${text(name)}`]]);
  return times === null ? 0 : Number(text(times));
}

export const handler = plugin({
  name: '{{name}}',
  version: '0.1.0',
  summary: 'Greets people.',
  // What it has to be granted when it is loaded: commands it runs, keys it touches.
  wants: ['INCR', 'RPUSH', 'GET', '~{{name}}:*'],
  commands: [
    {
      name: '{{NAME}}.GREET',
      arity: 2,
      usage: 'name',
      summary: 'Greets somebody and says how often that happened.',
      flags: { write: true, denyoom: true },
      run: greet,
    },
    {
      name: '{{NAME}}.COUNT',
      arity: 2,
      usage: 'name',
      summary: 'Says how often somebody was greeted.',
      flags: { readonly: true, fast: true },
      run: count,
    },
  ],
});
