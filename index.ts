#!/usr/bin/env bun
/** Bellhop: finds the command that was asked for and runs it. */
import { runCommandLine } from './core/cli/command-line.ts';
import { tellAllocator } from './core/ops/allocator.ts';

process.exitCode = await runCommandLine(process.argv.slice(2), tellAllocator);
