import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { environment, repo } from './steps.mjs';

const checks = [
  ['types', ['tsc', '--noEmit']],
  ['lint', ['oxlint', '--type-aware', '--deny-warnings']],
  ['format', ['biome', 'format', '.']],
];
const suites = ['unit', 'e2e'];

/** All checks and all tests, one after the other, whatever fails; ends with the sum over the tests. */
export async function check() {
  const failed = [];
  for (const [title, command] of checks) {
    console.log(`\n— ${title}: ${command.join(' ')}`);
    if ((await show(command)) !== 0) failed.push(title);
  }
  const sum = { passed: 0, failed: 0, skipped: 0 };
  const folder = mkdtempSync(join(tmpdir(), 'livia-test-'));
  try {
    for (const suite of suites) {
      console.log(`\n— ${suite} tests`);
      const report = join(folder, `${suite}.json`);
      const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
      const code = await show(['vitest', 'run', '--project', suite, ...reporters]);
      const counted = count(report);
      if (code !== 0 || counted === undefined) failed.push(`${suite} tests`);
      for (const key of Object.keys(sum)) sum[key] += counted?.[key] ?? 0;
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  console.log(failed.length === 0 ? '\nAll checks passed.' : `\nNot passed: ${failed.join(', ')}.`);
  console.log(
    `${sum.passed} passed, ${sum.failed} failed${sum.skipped > 0 ? `, ${sum.skipped} skipped` : ''}`,
  );
  return failed.length === 0 && sum.failed === 0 ? 0 : 1;
}

/** A file that cannot even be loaded counts as one failure: it has no tests to count. */
function count(report) {
  try {
    const result = JSON.parse(readFileSync(report, 'utf8'));
    const broken = result.testResults.filter(
      (file) => file.status === 'failed' && file.assertionResults.length === 0,
    );
    return {
      passed: result.numPassedTests,
      failed: result.numFailedTests + broken.length,
      skipped: result.numPendingTests + result.numTodoTests,
    };
  } catch {
    return undefined;
  }
}

function show([program, ...args]) {
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      cwd: repo,
      stdio: ['ignore', 'inherit', 'inherit'],
      env: environment,
    });
    child.on('error', (error) => {
      console.error(error.message);
      resolve(127);
    });
    child.on('exit', (code) => resolve(code ?? 1));
  });
}
