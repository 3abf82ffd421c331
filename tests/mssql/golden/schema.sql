-- which server it is
SELECT CAST(SERVERPROPERTY('ProductMajorVersion') AS INT) AS [version], CAST(SERVERPROPERTY('EngineEdition') AS INT) AS [edition], [compatibility_level] AS [level] FROM sys.databases WHERE [database_id] = DB_ID();

-- what is there
SELECT [TABLE_NAME] AS [table], [COLUMN_NAME] AS [column] FROM INFORMATION_SCHEMA.COLUMNS WHERE [TABLE_SCHEMA] = @p1;

-- what is there
SELECT COUNT_BIG(*) AS [count] FROM sys.schemas WHERE [name] = @p1;

-- one at a time
DECLARE @got INT; EXEC @got = sp_getapplock @Resource = @p1, @LockMode = N'Exclusive', @LockOwner = N'Transaction', @LockTimeout = 60000; SELECT @got AS [got];

-- a new schema with all tables
CREATE SCHEMA [agent];

-- a new schema with all tables
CREATE TABLE [agent].[mastra_threads] (
  [id] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL,
  [resourceId] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL,
  [title] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL,
  [metadata] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8,
  [createdAt] DATETIME2(6) NOT NULL,
  [updatedAt] DATETIME2(6) NOT NULL,
  [id_key] AS CAST(CASE WHEN DATALENGTH([id]) < 200 THEN CAST([id] AS VARBINARY(200)) ELSE CAST([id] AS VARBINARY(168)) + HASHBYTES('SHA2_256', [id]) END AS VARBINARY(200)) PERSISTED NOT NULL,
  [resourceId_key] AS CAST(CASE WHEN DATALENGTH([resourceId]) < 200 THEN CAST([resourceId] AS VARBINARY(200)) ELSE CAST([resourceId] AS VARBINARY(168)) + HASHBYTES('SHA2_256', [resourceId]) END AS VARBINARY(200)) PERSISTED NOT NULL,
  CONSTRAINT [mastra_threads_pk] PRIMARY KEY CLUSTERED ([id_key])
);

-- a new schema with all tables
CREATE INDEX [mastra_threads_resourceid_createdat_idx] ON [agent].[mastra_threads] ([resourceId_key], [createdAt] DESC);

-- a new schema with all tables
CREATE TABLE [agent].[mastra_messages] (
  [id] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL,
  [thread_id] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL,
  [content] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL,
  [role] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL,
  [type] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL,
  [createdAt] DATETIME2(6) NOT NULL,
  [resourceId] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8,
  [id_key] AS CAST(CASE WHEN DATALENGTH([id]) < 200 THEN CAST([id] AS VARBINARY(200)) ELSE CAST([id] AS VARBINARY(168)) + HASHBYTES('SHA2_256', [id]) END AS VARBINARY(200)) PERSISTED NOT NULL,
  [thread_id_key] AS CAST(CASE WHEN DATALENGTH([thread_id]) < 200 THEN CAST([thread_id] AS VARBINARY(200)) ELSE CAST([thread_id] AS VARBINARY(168)) + HASHBYTES('SHA2_256', [thread_id]) END AS VARBINARY(200)) PERSISTED NOT NULL,
  CONSTRAINT [mastra_messages_pk] PRIMARY KEY CLUSTERED ([id_key])
);

-- a new schema with all tables
CREATE INDEX [mastra_messages_thread_id_createdat_idx] ON [agent].[mastra_messages] ([thread_id_key], [createdAt] DESC);

-- a new schema with all tables
CREATE TABLE [agent].[mastra_resources] (
  [id] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL,
  [workingMemory] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8,
  [metadata] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8,
  [createdAt] DATETIME2(6) NOT NULL,
  [updatedAt] DATETIME2(6) NOT NULL,
  [id_key] AS CAST(CASE WHEN DATALENGTH([id]) < 200 THEN CAST([id] AS VARBINARY(200)) ELSE CAST([id] AS VARBINARY(168)) + HASHBYTES('SHA2_256', [id]) END AS VARBINARY(200)) PERSISTED NOT NULL,
  CONSTRAINT [mastra_resources_pk] PRIMARY KEY CLUSTERED ([id_key])
);

-- a new schema with all tables
CREATE TABLE [agent].[memory_messages] (
  [id] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL,
  [message_id] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL,
  [thread_id] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL,
  [resourceId] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8,
  [piece] INT NOT NULL,
  [model] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL,
  [createdAt] DATETIME2(6) NOT NULL,
  [embedding] VARBINARY(MAX) NOT NULL,
  [id_key] AS CAST(CASE WHEN DATALENGTH([id]) < 200 THEN CAST([id] AS VARBINARY(200)) ELSE CAST([id] AS VARBINARY(168)) + HASHBYTES('SHA2_256', [id]) END AS VARBINARY(200)) PERSISTED NOT NULL,
  [message_id_key] AS CAST(CASE WHEN DATALENGTH([message_id]) < 200 THEN CAST([message_id] AS VARBINARY(200)) ELSE CAST([message_id] AS VARBINARY(168)) + HASHBYTES('SHA2_256', [message_id]) END AS VARBINARY(200)) PERSISTED NOT NULL,
  [thread_id_key] AS CAST(CASE WHEN DATALENGTH([thread_id]) < 200 THEN CAST([thread_id] AS VARBINARY(200)) ELSE CAST([thread_id] AS VARBINARY(168)) + HASHBYTES('SHA2_256', [thread_id]) END AS VARBINARY(200)) PERSISTED NOT NULL,
  [resourceId_key] AS CAST(CASE WHEN DATALENGTH([resourceId]) < 200 THEN CAST([resourceId] AS VARBINARY(200)) ELSE CAST([resourceId] AS VARBINARY(168)) + HASHBYTES('SHA2_256', [resourceId]) END AS VARBINARY(200)) PERSISTED,
  CONSTRAINT [memory_messages_pk] PRIMARY KEY CLUSTERED ([id_key])
);

-- a new schema with all tables
CREATE INDEX [memory_messages_message_id_createdat_idx] ON [agent].[memory_messages] ([message_id_key], [createdAt] DESC);

-- a new schema with all tables
CREATE INDEX [memory_messages_thread_id_createdat_idx] ON [agent].[memory_messages] ([thread_id_key], [createdAt] DESC);

-- a new schema with all tables
CREATE INDEX [memory_messages_resourceid_createdat_idx] ON [agent].[memory_messages] ([resourceId_key], [createdAt] DESC);

-- a new schema with all tables
CREATE TABLE [agent].[mastra_workflow_snapshot] (
  [workflow_name] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL,
  [run_id] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL,
  [resourceId] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8,
  [snapshot] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL,
  [createdAt] DATETIME2(6) NOT NULL,
  [updatedAt] DATETIME2(6) NOT NULL,
  [workflow_name_key] AS CAST(CASE WHEN DATALENGTH([workflow_name]) < 200 THEN CAST([workflow_name] AS VARBINARY(200)) ELSE CAST([workflow_name] AS VARBINARY(168)) + HASHBYTES('SHA2_256', [workflow_name]) END AS VARBINARY(200)) PERSISTED NOT NULL,
  [run_id_key] AS CAST(CASE WHEN DATALENGTH([run_id]) < 200 THEN CAST([run_id] AS VARBINARY(200)) ELSE CAST([run_id] AS VARBINARY(168)) + HASHBYTES('SHA2_256', [run_id]) END AS VARBINARY(200)) PERSISTED NOT NULL,
  [resourceId_key] AS CAST(CASE WHEN DATALENGTH([resourceId]) < 200 THEN CAST([resourceId] AS VARBINARY(200)) ELSE CAST([resourceId] AS VARBINARY(168)) + HASHBYTES('SHA2_256', [resourceId]) END AS VARBINARY(200)) PERSISTED,
  CONSTRAINT [mastra_workflow_snapshot_pk] PRIMARY KEY CLUSTERED ([workflow_name_key], [run_id_key])
);

-- a new schema with all tables
CREATE INDEX [mastra_workflow_snapshot_workflow_name_createdat_idx] ON [agent].[mastra_workflow_snapshot] ([workflow_name_key], [createdAt] DESC);

-- a new schema with all tables
CREATE INDEX [mastra_workflow_snapshot_resourceid_createdat_idx] ON [agent].[mastra_workflow_snapshot] ([resourceId_key], [createdAt] DESC);

-- a new schema with all tables
CREATE TABLE [agent].[mastra_evals] (
  [id] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL,
  [input] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL,
  [output] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL,
  [result] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL,
  [agent_name] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL,
  [metric_name] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL,
  [instructions] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL,
  [test_info] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL,
  [global_run_id] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL,
  [run_id] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL,
  [created_at] DATETIME2(6) NOT NULL,
  [id_key] AS CAST(CASE WHEN DATALENGTH([id]) < 200 THEN CAST([id] AS VARBINARY(200)) ELSE CAST([id] AS VARBINARY(168)) + HASHBYTES('SHA2_256', [id]) END AS VARBINARY(200)) PERSISTED NOT NULL,
  [agent_name_key] AS CAST(CASE WHEN DATALENGTH([agent_name]) < 200 THEN CAST([agent_name] AS VARBINARY(200)) ELSE CAST([agent_name] AS VARBINARY(168)) + HASHBYTES('SHA2_256', [agent_name]) END AS VARBINARY(200)) PERSISTED NOT NULL,
  [metric_name_key] AS CAST(CASE WHEN DATALENGTH([metric_name]) < 200 THEN CAST([metric_name] AS VARBINARY(200)) ELSE CAST([metric_name] AS VARBINARY(168)) + HASHBYTES('SHA2_256', [metric_name]) END AS VARBINARY(200)) PERSISTED NOT NULL,
  [global_run_id_key] AS CAST(CASE WHEN DATALENGTH([global_run_id]) < 200 THEN CAST([global_run_id] AS VARBINARY(200)) ELSE CAST([global_run_id] AS VARBINARY(168)) + HASHBYTES('SHA2_256', [global_run_id]) END AS VARBINARY(200)) PERSISTED NOT NULL,
  [run_id_key] AS CAST(CASE WHEN DATALENGTH([run_id]) < 200 THEN CAST([run_id] AS VARBINARY(200)) ELSE CAST([run_id] AS VARBINARY(168)) + HASHBYTES('SHA2_256', [run_id]) END AS VARBINARY(200)) PERSISTED NOT NULL,
  CONSTRAINT [mastra_evals_pk] PRIMARY KEY CLUSTERED ([id_key])
);

-- a new schema with all tables
CREATE INDEX [mastra_evals_agent_name_created_at_idx] ON [agent].[mastra_evals] ([agent_name_key], [created_at] DESC);

-- a new schema with all tables
CREATE INDEX [mastra_evals_metric_name_created_at_idx] ON [agent].[mastra_evals] ([metric_name_key], [created_at] DESC);

-- a new schema with all tables
CREATE INDEX [mastra_evals_run_id_created_at_idx] ON [agent].[mastra_evals] ([run_id_key], [created_at] DESC);

-- a new schema with all tables
CREATE INDEX [mastra_evals_global_run_id_created_at_idx] ON [agent].[mastra_evals] ([global_run_id_key], [created_at] DESC);

-- a new schema with all tables
CREATE TABLE [agent].[mastra_scorers] (
  [id] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL,
  [scorerId] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL,
  [traceId] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8,
  [spanId] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8,
  [runId] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL,
  [scorer] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL,
  [preprocessStepResult] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8,
  [extractStepResult] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8,
  [analyzeStepResult] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8,
  [score] FLOAT(53) NOT NULL,
  [reason] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8,
  [metadata] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8,
  [preprocessPrompt] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8,
  [extractPrompt] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8,
  [generateScorePrompt] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8,
  [generateReasonPrompt] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8,
  [analyzePrompt] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8,
  [reasonPrompt] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8,
  [input] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8,
  [output] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL,
  [additionalContext] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8,
  [requestContext] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8,
  [entityType] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8,
  [entity] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8,
  [entityId] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8,
  [source] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL,
  [resourceId] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8,
  [threadId] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8,
  [batchId] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8,
  [datasetId] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8,
  [datasetItemId] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8,
  [trial] INT,
  [createdAt] DATETIME2(6) NOT NULL,
  [updatedAt] DATETIME2(6) NOT NULL,
  [id_key] AS CAST(CASE WHEN DATALENGTH([id]) < 200 THEN CAST([id] AS VARBINARY(200)) ELSE CAST([id] AS VARBINARY(168)) + HASHBYTES('SHA2_256', [id]) END AS VARBINARY(200)) PERSISTED NOT NULL,
  [scorerId_key] AS CAST(CASE WHEN DATALENGTH([scorerId]) < 200 THEN CAST([scorerId] AS VARBINARY(200)) ELSE CAST([scorerId] AS VARBINARY(168)) + HASHBYTES('SHA2_256', [scorerId]) END AS VARBINARY(200)) PERSISTED NOT NULL,
  [traceId_key] AS CAST(CASE WHEN DATALENGTH([traceId]) < 200 THEN CAST([traceId] AS VARBINARY(200)) ELSE CAST([traceId] AS VARBINARY(168)) + HASHBYTES('SHA2_256', [traceId]) END AS VARBINARY(200)) PERSISTED,
  [spanId_key] AS CAST(CASE WHEN DATALENGTH([spanId]) < 200 THEN CAST([spanId] AS VARBINARY(200)) ELSE CAST([spanId] AS VARBINARY(168)) + HASHBYTES('SHA2_256', [spanId]) END AS VARBINARY(200)) PERSISTED,
  [runId_key] AS CAST(CASE WHEN DATALENGTH([runId]) < 200 THEN CAST([runId] AS VARBINARY(200)) ELSE CAST([runId] AS VARBINARY(168)) + HASHBYTES('SHA2_256', [runId]) END AS VARBINARY(200)) PERSISTED NOT NULL,
  CONSTRAINT [mastra_scorers_pk] PRIMARY KEY CLUSTERED ([id_key])
);

-- a new schema with all tables
CREATE INDEX [mastra_scorers_traceid_spanid_createdat_idx] ON [agent].[mastra_scorers] ([traceId_key], [spanId_key], [createdAt] DESC);

-- a new schema with all tables
CREATE INDEX [mastra_scorers_scorerid_createdat_idx] ON [agent].[mastra_scorers] ([scorerId_key], [createdAt] DESC);

-- a new schema with all tables
CREATE INDEX [mastra_scorers_runid_createdat_idx] ON [agent].[mastra_scorers] ([runId_key], [createdAt] DESC);

-- a new schema with all tables
CREATE TABLE [agent].[mastra_ai_spans] (
  [traceId] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL,
  [spanId] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL,
  [parentSpanId] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8,
  [name] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL,
  [scope] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8,
  [instrumentationScope] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8,
  [spanType] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL,
  [kind] INT NOT NULL,
  [isEvent] BIT NOT NULL,
  [startedAt] DATETIME2(6) NOT NULL,
  [endedAt] DATETIME2(6),
  [startTime] BIGINT NOT NULL,
  [endTime] BIGINT,
  [status] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8,
  [error] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8,
  [provider] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8,
  [model] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8,
  [inputTokens] BIGINT,
  [outputTokens] BIGINT,
  [cachedTokens] BIGINT,
  [reasoningTokens] BIGINT,
  [cost] FLOAT(53),
  [entityType] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8,
  [entityId] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8,
  [entityName] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8,
  [userId] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8,
  [organizationId] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8,
  [resourceId] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8,
  [runId] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8,
  [sessionId] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8,
  [threadId] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8,
  [requestId] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8,
  [environment] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8,
  [source] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8,
  [serviceName] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8,
  [tags] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8,
  [metadata] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8,
  [attributes] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8,
  [events] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8,
  [links] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8,
  [other] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8,
  [input] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8,
  [output] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8,
  [createdAt] DATETIME2(6) NOT NULL,
  [updatedAt] DATETIME2(6),
  [traceId_key] AS CAST(CASE WHEN DATALENGTH([traceId]) < 200 THEN CAST([traceId] AS VARBINARY(200)) ELSE CAST([traceId] AS VARBINARY(168)) + HASHBYTES('SHA2_256', [traceId]) END AS VARBINARY(200)) PERSISTED NOT NULL,
  [spanId_key] AS CAST(CASE WHEN DATALENGTH([spanId]) < 200 THEN CAST([spanId] AS VARBINARY(200)) ELSE CAST([spanId] AS VARBINARY(168)) + HASHBYTES('SHA2_256', [spanId]) END AS VARBINARY(200)) PERSISTED NOT NULL,
  [parentSpanId_key] AS CAST(CASE WHEN DATALENGTH([parentSpanId]) < 200 THEN CAST([parentSpanId] AS VARBINARY(200)) ELSE CAST([parentSpanId] AS VARBINARY(168)) + HASHBYTES('SHA2_256', [parentSpanId]) END AS VARBINARY(200)) PERSISTED,
  [name_key] AS CAST(CASE WHEN DATALENGTH([name]) < 200 THEN CAST([name] AS VARBINARY(200)) ELSE CAST([name] AS VARBINARY(168)) + HASHBYTES('SHA2_256', [name]) END AS VARBINARY(200)) PERSISTED NOT NULL,
  [scope_key] AS CAST(CASE WHEN DATALENGTH([scope]) < 200 THEN CAST([scope] AS VARBINARY(200)) ELSE CAST([scope] AS VARBINARY(168)) + HASHBYTES('SHA2_256', [scope]) END AS VARBINARY(200)) PERSISTED,
  [spanType_key] AS CAST(CASE WHEN DATALENGTH([spanType]) < 200 THEN CAST([spanType] AS VARBINARY(200)) ELSE CAST([spanType] AS VARBINARY(168)) + HASHBYTES('SHA2_256', [spanType]) END AS VARBINARY(200)) PERSISTED NOT NULL,
  CONSTRAINT [mastra_ai_spans_pk] PRIMARY KEY CLUSTERED ([traceId_key], [spanId_key])
);

-- a new schema with all tables
CREATE INDEX [mastra_ai_spans_traceid_startedat_idx] ON [agent].[mastra_ai_spans] ([traceId_key], [startedAt] DESC);

-- a new schema with all tables
CREATE INDEX [mastra_ai_spans_parentspanid_startedat_idx] ON [agent].[mastra_ai_spans] ([parentSpanId_key], [startedAt] DESC);

-- a new schema with all tables
CREATE INDEX [mastra_ai_spans_name_startedat_idx] ON [agent].[mastra_ai_spans] ([name_key], [startedAt] DESC);

-- a new schema with all tables
CREATE INDEX [mastra_ai_spans_scope_startedat_idx] ON [agent].[mastra_ai_spans] ([scope_key], [startedAt] DESC);

-- a new schema with all tables
CREATE INDEX [mastra_ai_spans_spantype_startedat_idx] ON [agent].[mastra_ai_spans] ([spanType_key], [startedAt] DESC);

-- a new schema with all tables
CREATE INDEX [mastra_ai_spans_startedat_idx] ON [agent].[mastra_ai_spans] ([startedAt] DESC);

-- a new schema with all tables
CREATE TABLE [agent].[mastra_agents] (
  [id] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL,
  [name] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL,
  [description] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8,
  [instructions] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL,
  [model] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8 NOT NULL,
  [tools] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8,
  [defaultOptions] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8,
  [workflows] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8,
  [agents] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8,
  [inputProcessors] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8,
  [outputProcessors] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8,
  [memory] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8,
  [scorers] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8,
  [metadata] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8,
  [createdAt] DATETIME2(6) NOT NULL,
  [updatedAt] DATETIME2(6) NOT NULL,
  [id_key] AS CAST(CASE WHEN DATALENGTH([id]) < 200 THEN CAST([id] AS VARBINARY(200)) ELSE CAST([id] AS VARBINARY(168)) + HASHBYTES('SHA2_256', [id]) END AS VARBINARY(200)) PERSISTED NOT NULL,
  CONSTRAINT [mastra_agents_pk] PRIMARY KEY CLUSTERED ([id_key])
);

-- a new schema with all tables
CREATE VIEW [agent].[mastra_traces] AS SELECT [spanId] AS [id], [parentSpanId] AS [parentSpanId], [name] AS [name], [traceId] AS [traceId], [scope] AS [scope], [kind] AS [kind], [attributes] AS [attributes], [status] AS [status], [events] AS [events], [links] AS [links], [other] AS [other], [startTime] AS [startTime], [endTime] AS [endTime], [createdAt] AS [createdAt] FROM [agent].[mastra_ai_spans];

-- a new schema with all tables
CREATE TABLE [agent].[colonnade_version] ([version] INT NOT NULL);

-- a new schema with all tables
INSERT INTO [agent].[colonnade_version] ([version]) VALUES (2);

-- a table of an older store
ALTER TABLE [agent].[mastra_threads] ADD [title] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8, [metadata] VARCHAR(MAX) COLLATE Latin1_General_100_BIN2_UTF8, [createdAt] DATETIME2(6), [updatedAt] DATETIME2(6), [id_key] AS CAST(CASE WHEN DATALENGTH([id]) < 200 THEN CAST([id] AS VARBINARY(200)) ELSE CAST([id] AS VARBINARY(168)) + HASHBYTES('SHA2_256', [id]) END AS VARBINARY(200)) PERSISTED, [resourceId_key] AS CAST(CASE WHEN DATALENGTH([resourceId]) < 200 THEN CAST([resourceId] AS VARBINARY(200)) ELSE CAST([resourceId] AS VARBINARY(168)) + HASHBYTES('SHA2_256', [resourceId]) END AS VARBINARY(200)) PERSISTED;

-- a table of an older store
UPDATE [agent].[colonnade_version] SET [version] = 2;
