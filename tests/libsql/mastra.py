"""A database as Mastra's own libSQL store makes it (the storage contract, §8), and what Mastra does with it."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

_TIMES = "createdAt TEXT NOT NULL, updatedAt TEXT NOT NULL"
TABLES = f"""
CREATE TABLE mastra_threads (id TEXT NOT NULL PRIMARY KEY, resourceId TEXT NOT NULL, title TEXT NOT NULL, metadata TEXT,
  {_TIMES});
CREATE TABLE mastra_messages (id TEXT NOT NULL PRIMARY KEY, thread_id TEXT NOT NULL, content TEXT NOT NULL,
  role TEXT NOT NULL, type TEXT NOT NULL, createdAt TEXT NOT NULL, resourceId TEXT);
CREATE TABLE mastra_resources (id TEXT NOT NULL PRIMARY KEY, workingMemory TEXT, metadata TEXT, {_TIMES});
CREATE TABLE mastra_workflow_snapshot (workflow_name TEXT NOT NULL, run_id TEXT NOT NULL, resourceId TEXT,
  snapshot TEXT NOT NULL, {_TIMES}, PRIMARY KEY (workflow_name, run_id));
CREATE TABLE mastra_scorers (id TEXT NOT NULL PRIMARY KEY, scorerId TEXT NOT NULL, traceId TEXT, spanId TEXT,
  runId TEXT NOT NULL, scorer TEXT NOT NULL, preprocessStepResult TEXT, extractStepResult TEXT, analyzeStepResult TEXT,
  score FLOAT NOT NULL, reason TEXT, metadata TEXT, preprocessPrompt TEXT, extractPrompt TEXT, generateScorePrompt TEXT,
  generateReasonPrompt TEXT, analyzePrompt TEXT, reasonPrompt TEXT, input TEXT NOT NULL, output TEXT NOT NULL,
  additionalContext TEXT, requestContext TEXT, entityType TEXT, entity TEXT, entityId TEXT, source TEXT NOT NULL,
  resourceId TEXT, threadId TEXT, {_TIMES});
CREATE TABLE mastra_ai_spans (traceId TEXT NOT NULL, spanId TEXT NOT NULL, name TEXT NOT NULL, spanType TEXT NOT NULL,
  isEvent INTEGER NOT NULL, startedAt TEXT NOT NULL, parentSpanId TEXT, entityType TEXT, entityId TEXT, entityName TEXT,
  userId TEXT, organizationId TEXT, resourceId TEXT, runId TEXT, sessionId TEXT, threadId TEXT, requestId TEXT,
  environment TEXT, source TEXT, serviceName TEXT, scope TEXT, metadata TEXT, tags TEXT, attributes TEXT, links TEXT,
  input TEXT, output TEXT, error TEXT, endedAt TEXT, createdAt TEXT NOT NULL, updatedAt TEXT);
CREATE UNIQUE INDEX mastra_ai_spans_key ON mastra_ai_spans (spanId, traceId);
CREATE TABLE mastra_agents (id TEXT NOT NULL PRIMARY KEY, name TEXT NOT NULL, description TEXT,
  instructions TEXT NOT NULL, model TEXT NOT NULL, tools TEXT, defaultOptions TEXT, workflows TEXT, agents TEXT,
  inputProcessors TEXT, outputProcessors TEXT, memory TEXT, scorers TEXT, metadata TEXT, {_TIMES});
CREATE TABLE mastra_traces (id TEXT NOT NULL PRIMARY KEY, parentSpanId TEXT, name TEXT NOT NULL, traceId TEXT NOT NULL,
  scope TEXT NOT NULL, kind INTEGER NOT NULL, attributes TEXT, status TEXT, events TEXT, links TEXT, other TEXT,
  startTime INTEGER NOT NULL, endTime INTEGER NOT NULL, createdAt TEXT NOT NULL);
CREATE TABLE mastra_evals (input TEXT NOT NULL, output TEXT NOT NULL, result TEXT NOT NULL, agent_name TEXT NOT NULL,
  metric_name TEXT NOT NULL, instructions TEXT NOT NULL, test_info TEXT, global_run_id TEXT NOT NULL,
  run_id TEXT NOT NULL, created_at TEXT NOT NULL);
CREATE TABLE memory_messages (id SERIAL PRIMARY KEY, vector_id TEXT UNIQUE NOT NULL, embedding BLOB,
  metadata TEXT DEFAULT '{{}}');
"""
FIRST = "2026-01-31T12:00:00.123Z"
LATER = "2026-01-31T12:00:00.124Z"
RUN = "550e8400-e29b-41d4-a716-446655440000"


def make(path: Path) -> None:
    """Make it, with a row of everything."""
    with sqlite3.connect(path) as made:
        made.executescript(TABLES)
        message(made, "m1", FIRST)
        message(made, "m2", LATER)
        thread = ("t1", "ada", "Columns", json.dumps({"plan": "pro"}), FIRST, FIRST)
        made.execute("INSERT INTO mastra_threads VALUES (?, ?, ?, ?, ?, ?)", thread)
        state = json.dumps({"status": "running", "value": {}, "context": {}, "runId": "r1"})
        made.execute(
            "INSERT INTO mastra_workflow_snapshot VALUES (?, ?, ?, ?, ?, ?)", ("w", "r1", None, state, FIRST, FIRST)
        )
        span(made, "s1", FIRST)
        made.execute(
            "INSERT INTO mastra_scorers (id, scorerId, runId, scorer, score, input, output, source, createdAt, "
            "updatedAt) VALUES ('c1', 'exact', 'r1', '{\"name\":\"exact\"}', 1, '{}', '{}', 'LIVE', ?, ?)",
            (FIRST, FIRST),
        )
        made.execute(
            "INSERT INTO mastra_evals VALUES ('in', 'out', '{\"score\":1}', 'a', 'm', 'be kind', '{}', ?, ?, ?)",
            (RUN, RUN, FIRST),
        )
    made.close()


def message(made: sqlite3.Connection, id: str, at: str) -> None:
    """Write a message as Mastra does."""
    content = json.dumps({"format": 2, "parts": [{"type": "text", "text": id}]})
    made.execute("INSERT INTO mastra_messages VALUES (?, 't1', ?, 'user', 'v2', ?, 'ada')", (id, content, at))


def span(made: sqlite3.Connection, id: str, at: str) -> None:
    """Write a span as Mastra does."""
    made.execute(
        "INSERT INTO mastra_ai_spans (traceId, spanId, name, spanType, isEvent, startedAt, endedAt, input, createdAt)"
        " VALUES ('tr', ?, 'chat', 'model_generation', 0, ?, ?, '{\"n\":1}', ?)",
        (id, at, LATER, at),
    )
