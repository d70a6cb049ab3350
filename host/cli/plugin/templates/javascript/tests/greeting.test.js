import assert from 'node:assert';
import test from 'node:test';

import { greeting } from '../src/greeting.js';

test('says how often', () => assert.equal(greeting('Ada', 2), 'Hello Ada, for the 2. time'));
