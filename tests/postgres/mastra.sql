-- A schema as Mastra made it in January 2026 (@mastra/pg 1.0.0-beta), from the tables of the storage contract: JSON as
-- jsonb, or as text where it still was; a timestamp in UTC, and beside it in ...Z the one that is read.
CREATE TABLE mastra_threads (
  "id" TEXT NOT NULL PRIMARY KEY, "resourceId" TEXT NOT NULL, "title" TEXT NOT NULL, "metadata" TEXT,
  "createdAt" TIMESTAMP NOT NULL, "updatedAt" TIMESTAMP NOT NULL,
  "createdAtZ" TIMESTAMPTZ DEFAULT NOW(), "updatedAtZ" TIMESTAMPTZ DEFAULT NOW()
);
CREATE TABLE mastra_messages (
  "id" TEXT NOT NULL PRIMARY KEY, "thread_id" TEXT NOT NULL, "content" TEXT NOT NULL, "role" TEXT NOT NULL,
  "type" TEXT NOT NULL, "createdAt" TIMESTAMP NOT NULL, "resourceId" TEXT, "createdAtZ" TIMESTAMPTZ DEFAULT NOW()
);
CREATE TABLE mastra_resources (
  "id" TEXT NOT NULL PRIMARY KEY, "workingMemory" TEXT, "metadata" JSONB,
  "createdAt" TIMESTAMP NOT NULL, "updatedAt" TIMESTAMP NOT NULL,
  "createdAtZ" TIMESTAMPTZ DEFAULT NOW(), "updatedAtZ" TIMESTAMPTZ DEFAULT NOW()
);
CREATE TABLE mastra_workflow_snapshot (
  "workflow_name" TEXT NOT NULL, "run_id" TEXT NOT NULL, "resourceId" TEXT, "snapshot" JSONB NOT NULL,
  "createdAt" TIMESTAMP NOT NULL, "updatedAt" TIMESTAMP NOT NULL,
  "createdAtZ" TIMESTAMPTZ DEFAULT NOW(), "updatedAtZ" TIMESTAMPTZ DEFAULT NOW(),
  CONSTRAINT mastra_workflow_snapshot_workflow_name_run_id_key UNIQUE (workflow_name, run_id)
);
CREATE TABLE mastra_scorers (
  "id" TEXT NOT NULL PRIMARY KEY, "scorerId" TEXT NOT NULL, "traceId" TEXT, "spanId" TEXT, "runId" TEXT NOT NULL,
  "scorer" JSONB NOT NULL, "preprocessStepResult" JSONB, "extractStepResult" JSONB, "analyzeStepResult" JSONB,
  "score" FLOAT NOT NULL, "reason" TEXT, "metadata" JSONB, "preprocessPrompt" TEXT, "extractPrompt" TEXT,
  "generateScorePrompt" TEXT, "generateReasonPrompt" TEXT, "analyzePrompt" TEXT, "reasonPrompt" TEXT,
  "input" JSONB NOT NULL, "output" JSONB NOT NULL, "additionalContext" JSONB, "requestContext" JSONB,
  "entityType" TEXT, "entity" JSONB, "entityId" TEXT, "source" TEXT NOT NULL, "resourceId" TEXT, "threadId" TEXT,
  "createdAt" TIMESTAMP NOT NULL, "updatedAt" TIMESTAMP NOT NULL,
  "createdAtZ" TIMESTAMPTZ DEFAULT NOW(), "updatedAtZ" TIMESTAMPTZ DEFAULT NOW()
);
CREATE TABLE mastra_ai_spans (
  "traceId" TEXT NOT NULL, "spanId" TEXT NOT NULL, "name" TEXT NOT NULL, "spanType" TEXT NOT NULL,
  "isEvent" BOOLEAN NOT NULL, "startedAt" TIMESTAMP NOT NULL, "parentSpanId" TEXT, "entityType" TEXT, "entityId" TEXT,
  "entityName" TEXT, "userId" TEXT, "organizationId" TEXT, "resourceId" TEXT, "runId" TEXT, "sessionId" TEXT,
  "threadId" TEXT, "requestId" TEXT, "environment" TEXT, "source" TEXT, "serviceName" TEXT, "scope" JSONB,
  "metadata" JSONB, "tags" JSONB, "attributes" JSONB, "links" JSONB, "input" JSONB, "output" JSONB, "error" JSONB,
  "endedAt" TIMESTAMP, "createdAt" TIMESTAMP NOT NULL, "updatedAt" TIMESTAMP,
  "startedAtZ" TIMESTAMPTZ DEFAULT NOW(), "endedAtZ" TIMESTAMPTZ DEFAULT NOW(),
  "createdAtZ" TIMESTAMPTZ DEFAULT NOW(), "updatedAtZ" TIMESTAMPTZ DEFAULT NOW(),
  CONSTRAINT mastra_ai_spans_traceid_spanid_pk PRIMARY KEY ("traceId", "spanId")
);
CREATE TABLE mastra_agents (
  "id" TEXT NOT NULL PRIMARY KEY, "name" TEXT NOT NULL, "description" TEXT, "instructions" TEXT NOT NULL,
  "model" JSONB NOT NULL, "tools" JSONB, "defaultOptions" JSONB, "workflows" JSONB, "agents" JSONB,
  "inputProcessors" JSONB, "outputProcessors" JSONB, "memory" JSONB, "scorers" JSONB, "metadata" JSONB,
  "createdAt" TIMESTAMP NOT NULL, "updatedAt" TIMESTAMP NOT NULL,
  "createdAtZ" TIMESTAMPTZ DEFAULT NOW(), "updatedAtZ" TIMESTAMPTZ DEFAULT NOW()
);
CREATE TABLE mastra_traces (
  "id" TEXT NOT NULL PRIMARY KEY, "parentSpanId" TEXT, "name" TEXT NOT NULL, "traceId" TEXT NOT NULL,
  "scope" TEXT NOT NULL, "kind" INTEGER NOT NULL, "attributes" JSONB, "status" JSONB, "events" JSONB, "links" JSONB,
  "other" TEXT, "startTime" BIGINT NOT NULL, "endTime" BIGINT NOT NULL, "createdAt" TIMESTAMP NOT NULL,
  "createdAtZ" TIMESTAMPTZ DEFAULT NOW()
);
CREATE TABLE mastra_evals (
  "input" TEXT NOT NULL, "output" TEXT NOT NULL, "result" JSONB NOT NULL, "agent_name" TEXT NOT NULL,
  "metric_name" TEXT NOT NULL, "instructions" TEXT NOT NULL, "test_info" JSONB, "global_run_id" UUID NOT NULL,
  "run_id" UUID NOT NULL, "created_at" TIMESTAMP NOT NULL, "created_atZ" TIMESTAMPTZ DEFAULT NOW()
);
-- @mastra/pg keeps vectors in a table of this name, which is another than ours.
CREATE TABLE memory_messages (id SERIAL PRIMARY KEY, vector_id TEXT UNIQUE NOT NULL, embedding REAL[], metadata JSONB);
CREATE INDEX mastra_threads_resourceid_createdat_idx ON mastra_threads ("resourceId", "createdAt" DESC);
CREATE INDEX mastra_messages_thread_id_createdat_idx ON mastra_messages (thread_id, "createdAt" DESC);
CREATE INDEX mastra_ai_spans_traceid_startedat_idx ON mastra_ai_spans ("traceId", "startedAt" DESC);
CREATE INDEX mastra_ai_spans_metadata_gin_idx ON mastra_ai_spans USING gin (metadata);

-- What Mastra wrote.
INSERT INTO mastra_threads VALUES
  ('t1', 'ann', 'First', '{"plan": "pro", "n": 1}', '2026-01-10 12:00:00.123', '2026-01-10 12:00:01',
   '2026-01-10 12:00:00.123+00', '2026-01-10 12:00:01+00'),
  -- From a process in another zone: only the shadow is right, as is known of older versions.
  ('t2', 'ann', 'Second', NULL, '2026-01-11 21:00:00', '2026-01-11 21:00:00',
   '2026-01-11 12:00:00+00', '2026-01-11 12:00:00+00'),
  -- From before there were shadows.
  ('t3', 'bob', 'Old', '{}', '2025-06-01 08:00:00', '2025-06-01 08:00:00', NULL, NULL);
INSERT INTO mastra_messages VALUES
  ('m1', 't1', '{"format":2,"parts":[{"type":"text","text":"Hello Wörld"}],"metadata":{"status":"done"}}', 'user', 'v2',
   '2026-01-10 12:00:00.5', 'ann', '2026-01-10 12:00:00.5+00'),
  ('m2', 't1', 'plain text of an older version', 'assistant', 'text',
   '2026-01-10 12:00:01', 'ann', '2026-01-10 12:00:01+00');
INSERT INTO mastra_resources VALUES ('ann', '# Ann', '{"likes": ["tea"]}', '2026-01-10 12:00:00', '2026-01-10 12:00:00');
INSERT INTO mastra_workflow_snapshot VALUES
  ('wf', 'r1', NULL, '{"runId": "r1", "status": "suspended", "context": {"a": {"status": "success", "output": 1}}}',
   '2026-01-10 12:00:00', '2026-01-10 12:00:00', '2026-01-10 12:00:00+00', '2026-01-10 12:00:00+00');
INSERT INTO mastra_scorers ("id", "scorerId", "traceId", "spanId", "runId", "scorer", "score", "input", "output",
  "source", "createdAt", "updatedAt", "createdAtZ", "updatedAtZ") VALUES
  ('s1', 'fair', 'tr1', 'a', 'r1', '{"name": "fair"}', 0.1, '"in"', '{"out": [1, 2.50]}', 'LIVE',
   '2026-01-10 12:00:00', '2026-01-10 12:00:00', '2026-01-10 12:00:00+00', '2026-01-10 12:00:00+00');
INSERT INTO mastra_ai_spans ("traceId", "spanId", "parentSpanId", "name", "spanType", "isEvent", "startedAt",
  "startedAtZ", "endedAt", "endedAtZ", "createdAt", "createdAtZ", "updatedAtZ", "scope", "metadata", "tags",
  "attributes", "input") VALUES
  ('tr1', 'a', NULL, 'agent run', 'agent_run', false, '2026-01-10 12:00:00.123456', '2026-01-10 12:00:00.123456+00',
   '2026-01-10 12:00:02', '2026-01-10 12:00:02+00', '2026-01-10 12:00:00', '2026-01-10 12:00:00+00', NULL,
   '{"name": "core", "version": "1"}', '{"team": "red"}', '["prod", "a"]', NULL, '{"text": "hi"}'),
  ('tr1', 'b', 'a', 'llm', 'model_generation', false, '2026-01-10 12:00:01', '2026-01-10 12:00:01+00', NULL, NULL,
   '2026-01-10 12:00:01', '2026-01-10 12:00:01+00', NULL, NULL, NULL, NULL,
   '{"model": "gpt-5", "provider": "openai", "usage": {"inputTokens": 100, "outputTokens": 20,
     "inputDetails": {"cacheRead": 7}}}', NULL);
INSERT INTO mastra_agents ("id", "name", "instructions", "model", "createdAt", "updatedAt", "createdAtZ", "updatedAtZ")
  VALUES ('ag', 'Agent', 'Be kind.', '{"provider": "openai"}', '2026-01-10 12:00:00', '2026-01-10 12:00:00',
   '2026-01-10 12:00:00+00', '2026-01-10 12:00:00+00');
INSERT INTO mastra_evals VALUES ('in', 'out', '{"score": 0.5}', 'agent', 'Faithfulness', 'Be kind.', '{}',
  '550e8400-e29b-41d4-a716-446655440000', '550e8400-e29b-41d4-a716-446655440001', '2026-01-10 12:00:00',
  '2026-01-10 12:00:00+00');
