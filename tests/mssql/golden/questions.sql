-- nulls come last, ascending
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id] FROM [agent].[mastra_scorers] ORDER BY CASE WHEN [trial] IS NULL THEN 1 ELSE 0 END ASC, [trial] ASC, CAST([id] AS VARBINARY(MAX)) ASC;

-- nulls come last, descending
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id] FROM [agent].[mastra_scorers] ORDER BY CASE WHEN [trial] IS NULL THEN 1 ELSE 0 END ASC, [trial] DESC, CAST([id] AS VARBINARY(MAX)) ASC;

-- nulls come first where an order says so
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id] FROM [agent].[mastra_scorers] ORDER BY CASE WHEN [trial] IS NULL THEN 0 ELSE 1 END ASC, [trial] ASC, CAST([id] AS VARBINARY(MAX)) ASC;

-- nulls come first where a descending order says so
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id] FROM [agent].[mastra_scorers] ORDER BY CASE WHEN [trial] IS NULL THEN 0 ELSE 1 END ASC, [trial] DESC, CAST([id] AS VARBINARY(MAX)) ASC;

-- text sorts by code point: A < Z < a < e + accent < é < full-width A < emoji
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id] FROM [agent].[mastra_threads] ORDER BY CAST([title] AS VARBINARY(MAX)) ASC, CAST([id] AS VARBINARY(MAX)) ASC;

-- rows that are equal in the order come by key, ascending in a descending order too
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id] FROM [agent].[mastra_threads] ORDER BY CAST([resourceId] AS VARBINARY(MAX)) DESC, CAST([id] AS VARBINARY(MAX)) ASC;

-- a second term orders within the first
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id] FROM [agent].[mastra_scorers] ORDER BY CASE WHEN [reason] IS NULL THEN 1 ELSE 0 END ASC, CAST([reason] AS VARBINARY(MAX)) ASC, [score] DESC, CAST([id] AS VARBINARY(MAX)) ASC;

-- a limit of 0 gives nothing
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id] FROM [agent].[mastra_threads] WHERE 1 = 0;

-- a limit without an order cuts in the order of the key
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id] FROM [agent].[mastra_threads] ORDER BY CAST([id] AS VARBINARY(MAX)) ASC OFFSET 0 ROWS FETCH NEXT 2 ROWS ONLY;

-- a limit beyond the end gives what is there
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id] FROM [agent].[mastra_threads] ORDER BY CAST([id] AS VARBINARY(MAX)) ASC OFFSET 10 ROWS FETCH NEXT 5 ROWS ONLY;

-- an offset without a limit gives the rest
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id] FROM [agent].[mastra_threads] ORDER BY CAST([id] AS VARBINARY(MAX)) ASC OFFSET 11 ROWS;

-- an offset beyond the end gives nothing
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id] FROM [agent].[mastra_threads] ORDER BY CAST([id] AS VARBINARY(MAX)) ASC OFFSET 12 ROWS FETCH NEXT 5 ROWS ONLY;

-- the next page begins after the last row, not after its like
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id] FROM (SELECT TOP (2) WITH TIES * FROM [agent].[mastra_threads] WHERE (([createdAt] < @p1) OR ([createdAt] = @p2 AND CAST([id] AS VARBINARY(MAX)) > @p3)) ORDER BY [createdAt] DESC) AS [first] ORDER BY [createdAt] DESC, CAST([id] AS VARBINARY(MAX)) ASC OFFSET 0 ROWS FETCH NEXT 2 ROWS ONLY;

-- one of nothing is false
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id] FROM [agent].[mastra_scorers] WHERE 1 = 0;

-- not one of nothing is true, of null too
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id] FROM [agent].[mastra_scorers] WHERE NOT (1 = 0);

-- one of values and None finds the values
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id] FROM [agent].[mastra_scorers] WHERE (CAST([batchId] AS VARBINARY(MAX)) IN (@p1) OR 1 = NULL);

-- one of values and None finds the values, twice
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id] FROM [agent].[mastra_threads] WHERE (([resourceId_key] IN (@p1, @p2) OR 1 = NULL) AND ([resourceId_key] IN (@p3) OR 1 = NULL));

-- not one of values and None is never true
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id] FROM [agent].[mastra_scorers] WHERE NOT ((CAST([batchId] AS VARBINARY(MAX)) IN (@p1) OR 1 = NULL));

-- not one of values leaves null out
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id] FROM [agent].[mastra_scorers] WHERE NOT (CAST([batchId] AS VARBINARY(MAX)) IN (@p1));

-- nothing equals None
-- nothing differs from None
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id] FROM [agent].[mastra_scorers] WHERE 1 = NULL;

-- null differs from nothing
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id] FROM [agent].[mastra_scorers] WHERE CAST([reason] AS VARBINARY(MAX)) <> @p1;

-- the opposite of a comparison with null is null
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id] FROM [agent].[mastra_scorers] WHERE NOT ([trial] < @p1);

-- null is asked for as such
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id] FROM [agent].[mastra_scorers] WHERE [reason] IS NULL;

-- not null is the rest
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id] FROM [agent].[mastra_scorers] WHERE NOT ([reason] IS NULL);

-- unknown or true is true
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id] FROM [agent].[mastra_scorers] WHERE ([trial] = @p1 OR CAST([batchId] AS VARBINARY(MAX)) = @p2);

-- unknown and false is false, unknown and unknown is unknown
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id] FROM [agent].[mastra_scorers] WHERE NOT (([trial] = @p1 AND CAST([reason] AS VARBINARY(MAX)) = @p2));

-- text is compared with its case and its blanks
-- an accent is not a letter and an accent
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id] FROM [agent].[mastra_threads] WHERE CAST([title] AS VARBINARY(MAX)) = @p1;

-- text before a letter is before it by code point
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id] FROM [agent].[mastra_threads] WHERE CAST([title] AS VARBINARY(MAX)) < @p1;

-- full-width letters come before emoji
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id] FROM [agent].[mastra_threads] WHERE CAST([title] AS VARBINARY(MAX)) > @p1;

-- a percent sign matches itself
-- an underscore matches itself
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id] FROM [agent].[mastra_threads] WHERE [resourceId_key] = @p1;

-- an id full of SQL is an id
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id] FROM [agent].[mastra_threads] WHERE [id_key] = @p1;

-- an id full of JSON is an id
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id] FROM [agent].[mastra_threads] WHERE [id_key] IN (@p1, @p2);

-- both in a key of two columns
SELECT CAST([traceId] AS NVARCHAR(MAX)) AS [_traceId], CAST([spanId] AS NVARCHAR(MAX)) AS [_spanId] FROM [agent].[mastra_ai_spans] WHERE ([traceId_key] = @p1 AND [spanId_key] = @p2);

-- a UUID is the same in capitals
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id] FROM [agent].[mastra_evals] WHERE [run_id_key] = @p1;

-- UUIDs sort by their digits
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id] FROM [agent].[mastra_evals] WHERE [run_id_key] IN (@p1, @p2, @p3) ORDER BY CAST([run_id] AS VARBINARY(MAX)) DESC, CAST([id] AS VARBINARY(MAX)) ASC;

-- in JSON, 1 is 1.0, but neither "1" nor true
-- in JSON, 1.0 is 1
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id] FROM [agent].[mastra_threads] WHERE (SELECT CASE WHEN [type] = 2 AND (CAST([value] AS VARBINARY(MAX)) = @p1 OR TRY_CAST([value] AS FLOAT(53)) = @p2) THEN 1 ELSE 0 END FROM OPENJSON(N'[' + [metadata] + N']', N'$[0]') WHERE CAST([key] AS VARBINARY(MAX)) = 0x6e00) = 1;

-- in JSON, "1" is a text
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id] FROM [agent].[mastra_threads] WHERE (SELECT CASE WHEN [type] = 1 AND CAST([value] AS VARBINARY(MAX)) = @p1 THEN 1 ELSE 0 END FROM OPENJSON(N'[' + [metadata] + N']', N'$[0]') WHERE CAST([key] AS VARBINARY(MAX)) = 0x6e00) = 1;

-- in JSON, true is no number
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id] FROM [agent].[mastra_threads] WHERE (SELECT CASE WHEN [type] = 3 AND [value] = N'true' THEN 1 ELSE 0 END FROM OPENJSON(N'[' + [metadata] + N']', N'$[0]') WHERE CAST([key] AS VARBINARY(MAX)) = 0x6e00) = 1;

-- in JSON, null is a value
-- an order in JSON holds between numbers
-- an order in JSON holds between texts
-- large whole numbers in JSON keep their last digit
-- objects are equal in any order of keys, lists in theirs
-- an empty object equals itself only
-- a place in a list
-- a dot in a key is no step
-- a dollar sign in a key
-- quotation marks in a key
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id], CAST([metadata] AS NVARCHAR(MAX)) AS [_metadata] FROM [agent].[mastra_threads];

-- in JSON, a missing place differs from nothing
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id] FROM [agent].[mastra_threads] WHERE (SELECT CASE WHEN [type] = 2 AND (CAST([value] AS VARBINARY(MAX)) = @p1 OR TRY_CAST([value] AS FLOAT(53)) = @p2) THEN 1 ELSE 0 END FROM OPENJSON(N'[' + [metadata] + N']', N'$[0]') WHERE CAST([key] AS VARBINARY(MAX)) = 0x6e00) <> 1;

-- the opposite leaves missing places out
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id] FROM [agent].[mastra_threads] WHERE NOT ((SELECT CASE WHEN [type] = 2 AND (CAST([value] AS VARBINARY(MAX)) = @p1 OR TRY_CAST([value] AS FLOAT(53)) = @p2) THEN 1 ELSE 0 END FROM OPENJSON(N'[' + [metadata] + N']', N'$[0]') WHERE CAST([key] AS VARBINARY(MAX)) = 0x6e00) = 1);

-- a place is null where it is missing or null
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id] FROM [agent].[mastra_threads] WHERE COALESCE((SELECT [type] FROM OPENJSON(N'[' + [metadata] + N']', N'$[0]') WHERE CAST([key] AS VARBINARY(MAX)) = 0x6e00), 0) = 0;

-- a place that holds something is not null
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id] FROM [agent].[mastra_threads] WHERE NOT (COALESCE((SELECT [type] FROM OPENJSON(N'[' + [metadata] + N']', N'$[0]') WHERE CAST([key] AS VARBINARY(MAX)) = 0x6e00), 0) = 0);

-- a place within null is null
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id] FROM [agent].[mastra_threads] WHERE (COALESCE((SELECT [type] FROM OPENJSON(N'[' + [metadata] + N']', N'$[0]."user"') WHERE CAST([key] AS VARBINARY(MAX)) = 0x70006c0061006e00), 0) = 0 AND NOT ([resourceId_key] = @p1));

-- a whole value is null where the column is
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id] FROM [agent].[mastra_threads] WHERE COALESCE((SELECT [type] FROM OPENJSON(N'[' + [metadata] + N']') WHERE [key] = N'0'), 0) = 0;

-- a place further down
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id] FROM [agent].[mastra_threads] WHERE (SELECT CASE WHEN [type] = 1 AND CAST([value] AS VARBINARY(MAX)) = @p1 THEN 1 ELSE 0 END FROM OPENJSON(N'[' + [metadata] + N']', N'$[0]."user"') WHERE CAST([key] AS VARBINARY(MAX)) = 0x70006c0061006e00) = 1;

-- a list has an element
-- an element is matched whole
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id] FROM [agent].[mastra_threads] WHERE CASE WHEN (SELECT [type] FROM OPENJSON(N'[' + [metadata] + N']', N'$[0]') WHERE CAST([key] AS VARBINARY(MAX)) = 0x7400610067007300) = 4 THEN CASE WHEN EXISTS (SELECT 1 FROM OPENJSON(N'[' + [metadata] + N']', N'$[0]."tags"') WHERE [type] = 1 AND CAST([value] AS VARBINARY(MAX)) = @p1) THEN 1 ELSE 0 END END = 1;

-- what is no list has nothing, nor lacks it
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id] FROM [agent].[mastra_threads] WHERE NOT (CASE WHEN (SELECT [type] FROM OPENJSON(N'[' + [metadata] + N']', N'$[0]') WHERE CAST([key] AS VARBINARY(MAX)) = 0x7400610067007300) = 4 THEN CASE WHEN EXISTS (SELECT 1 FROM OPENJSON(N'[' + [metadata] + N']', N'$[0]."tags"') WHERE [type] = 1 AND CAST([value] AS VARBINARY(MAX)) = @p1) THEN 1 ELSE 0 END END = 1);

-- among the rows of another table
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id] FROM [agent].[mastra_threads] WHERE [id_key] IN (SELECT [thread_id_key] AS [found] FROM [agent].[mastra_messages] WHERE CAST([role] AS VARBINARY(MAX)) = @p1);

-- not among them
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id] FROM [agent].[mastra_threads] WHERE (NOT ([id_key] IN (SELECT [thread_id_key] AS [found] FROM [agent].[mastra_messages])) AND [resourceId_key] = @p1);

-- nulls among them say nothing
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id] FROM [agent].[mastra_threads] WHERE (NOT (CAST([id] AS VARBINARY(MAX)) IN (SELECT CAST([threadId] AS VARBINARY(MAX)) AS [found] FROM [agent].[mastra_ai_spans] WHERE (1 = 1 AND NOT ([threadId] IS NULL)))) AND [resourceId_key] = @p1);

-- null is not among rows, nor outside
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id] FROM [agent].[mastra_scorers] WHERE NOT ([traceId_key] IN (SELECT [traceId_key] AS [found] FROM [agent].[mastra_ai_spans]));

-- everything is outside of nothing
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id] FROM [agent].[mastra_scorers] WHERE NOT ([traceId_key] IN (SELECT [traceId_key] AS [found] FROM [agent].[mastra_ai_spans] WHERE 1 = 0));

-- among the newest two
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id] FROM [agent].[mastra_threads] WHERE [id_key] IN (SELECT [thread_id_key] AS [found] FROM (SELECT TOP (2) WITH TIES * FROM [agent].[mastra_messages] WHERE CAST([role] AS VARBINARY(MAX)) = @p1 ORDER BY [createdAt] DESC) AS [first] ORDER BY [createdAt] DESC, CAST([id] AS VARBINARY(MAX)) ASC OFFSET 0 ROWS FETCH NEXT 2 ROWS ONLY);

-- among the rows of a reading
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id] FROM [agent].[mastra_scorers] WHERE [traceId_key] IN (SELECT [traceId_key] AS [found] FROM [agent].[mastra_ai_spans] WHERE [name_key] = @p1);

-- a range of time has both its ends
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id] FROM [agent].[mastra_messages] WHERE ([createdAt] >= @p1 AND [createdAt] <= @p2);

-- an exclusive end leaves out its microsecond
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id] FROM [agent].[mastra_messages] WHERE ([createdAt] >= @p1 AND [createdAt] < @p2);

-- an exclusive start leaves out its microsecond
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id] FROM [agent].[mastra_messages] WHERE ([createdAt] > @p1 AND [createdAt] <= @p2);

-- two exclusive ends leave the microsecond between
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id] FROM [agent].[mastra_messages] WHERE ([createdAt] > @p1 AND [createdAt] < @p2);

-- a moment is the same in another time zone
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id] FROM [agent].[mastra_messages] WHERE [createdAt] = @p1;

-- a time before 1970, to the microsecond and the nanosecond
SELECT CAST([traceId] AS NVARCHAR(MAX)) AS [_traceId], DATEDIFF_BIG(MICROSECOND, '19700101', [startedAt]) AS [_startedAt], [startTime] AS [_startTime] FROM [agent].[mastra_ai_spans] WHERE [startedAt] < @p1 ORDER BY CAST([traceId] AS VARBINARY(MAX)) ASC, CAST([spanId] AS VARBINARY(MAX)) ASC;

-- whole numbers above 2^53 are told apart
-- and found by nothing near them
SELECT CAST([traceId] AS NVARCHAR(MAX)) AS [_traceId], CAST([spanId] AS NVARCHAR(MAX)) AS [_spanId] FROM [agent].[mastra_ai_spans] WHERE [inputTokens] = @p1;

-- 64 bits in full
SELECT [inputTokens] AS [_inputTokens] FROM [agent].[mastra_ai_spans] WHERE ([traceId_key] = @p1 AND [name_key] = @p2) ORDER BY CAST([traceId] AS VARBINARY(MAX)) ASC, CAST([spanId] AS VARBINARY(MAX)) ASC;

-- 64 bits in order
SELECT CAST([traceId] AS NVARCHAR(MAX)) AS [_traceId], CAST([spanId] AS NVARCHAR(MAX)) AS [_spanId] FROM [agent].[mastra_ai_spans] WHERE ([traceId_key] IN (@p1, @p2, @p3) AND [name_key] = @p4) ORDER BY CASE WHEN [inputTokens] IS NULL THEN 1 ELSE 0 END ASC, [inputTokens] ASC, CAST([traceId] AS VARBINARY(MAX)) ASC, CAST([spanId] AS VARBINARY(MAX)) ASC;

-- 32 bits in full
SELECT [trial] AS [_trial] FROM [agent].[mastra_scorers] WHERE [id_key] IN (@p1, @p2) ORDER BY CAST([id] AS VARBINARY(MAX)) ASC;

-- floats to the last bit
SELECT [score] AS [_score] FROM [agent].[mastra_scorers] WHERE [id_key] IN (@p1, @p2, @p3, @p4, @p5) ORDER BY CAST([id] AS VARBINARY(MAX)) ASC;

-- a float equals itself
-- 0.1 + 0.2 is not 0.3
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id] FROM [agent].[mastra_scorers] WHERE [score] = @p1;

-- what is written once stays, the rest is replaced
-- also within one put
SELECT DATEDIFF_BIG(MICROSECOND, '19700101', [createdAt]) AS [_createdAt], CAST([content] AS NVARCHAR(MAX)) AS [_content] FROM [agent].[mastra_messages] WHERE [id_key] = @p1 ORDER BY CAST([id] AS VARBINARY(MAX)) ASC;

-- also under a key of two columns
SELECT CAST([run_id] AS NVARCHAR(MAX)) AS [_run_id], DATEDIFF_BIG(MICROSECOND, '19700101', [createdAt]) AS [_createdAt], DATEDIFF_BIG(MICROSECOND, '19700101', [updatedAt]) AS [_updatedAt], CAST([snapshot] AS NVARCHAR(MAX)) AS [_snapshot] FROM [agent].[mastra_workflow_snapshot] WHERE [workflow_name_key] = @p1 ORDER BY CAST([workflow_name] AS VARBINARY(MAX)) ASC, CAST([run_id] AS VARBINARY(MAX)) ASC;

-- an ended span outlives a running copy
-- and not a later ended one
-- also within one put of spans
SELECT CAST([name] AS NVARCHAR(MAX)) AS [_name] FROM [agent].[mastra_ai_spans] WHERE ([traceId_key] = @p1 AND [spanId_key] = @p2) ORDER BY CAST([traceId] AS VARBINARY(MAX)) ASC, CAST([spanId] AS VARBINARY(MAX)) ASC;

-- a running span is replaced by a running copy
SELECT CAST([name] AS NVARCHAR(MAX)) AS [_name], DATEDIFF_BIG(MICROSECOND, '19700101', [endedAt]) AS [_endedAt] FROM [agent].[mastra_ai_spans] WHERE ([traceId_key] = @p1 AND [spanId_key] = @p2) ORDER BY CAST([traceId] AS VARBINARY(MAX)) ASC, CAST([spanId] AS VARBINARY(MAX)) ASC;

-- traces are spans under their own names, newest first
SELECT CAST([spanId] AS NVARCHAR(MAX)) AS [_spanId], CAST([parentSpanId] AS NVARCHAR(MAX)) AS [_parentSpanId], CAST([name] AS NVARCHAR(MAX)) AS [_name] FROM [agent].[mastra_ai_spans] WHERE [traceId_key] = @p1 ORDER BY [startTime] DESC, CAST([traceId] AS VARBINARY(MAX)) ASC, CAST([spanId] AS VARBINARY(MAX)) ASC;

-- traces are counted
SELECT [g0], COUNT_BIG(*) AS [n0] FROM (SELECT CAST([name] AS VARBINARY(MAX)) AS [g0] FROM [agent].[mastra_ai_spans] WHERE [spanId_key] = @p1) AS [rows] GROUP BY [g0];

-- without rows there is no group
SELECT [g0], COUNT_BIG(*) AS [n0] FROM (SELECT CAST([name] AS VARBINARY(MAX)) AS [g0] FROM [agent].[mastra_ai_spans] WHERE 1 = 0) AS [rows] GROUP BY [g0];

-- without groups there is one row
SELECT CAST([traceId] AS NVARCHAR(MAX)) AS [_traceId], CAST([spanId] AS NVARCHAR(MAX)) AS [_spanId], CAST([name] AS NVARCHAR(MAX)) AS [_name], [cost] AS [_cost] FROM [agent].[mastra_ai_spans] WHERE 1 = 0;

-- null is a group, the last one, and a column's count leaves null out
SELECT [g0], COUNT_BIG(*) AS [n0], COUNT_BIG([m1]) AS [n1], SUM([m2]) AS [n2], AVG(CAST([m3] AS FLOAT(53))) AS [n3] FROM (SELECT CAST([model] AS VARBINARY(MAX)) AS [g0], [cost] AS [m1], [cost] AS [m2], [cost] AS [m3] FROM [agent].[mastra_ai_spans] WHERE [traceId_key] IN (@p1, @p2, @p3)) AS [rows] GROUP BY [g0];

-- quantiles interpolate
SELECT CAST([traceId] AS NVARCHAR(MAX)) AS [_traceId], CAST([spanId] AS NVARCHAR(MAX)) AS [_spanId], CAST([model] AS NVARCHAR(MAX)) AS [_model], [cost] AS [_cost] FROM [agent].[mastra_ai_spans] WHERE ([traceId_key] IN (@p1, @p2, @p3) AND NOT ([model] IS NULL));

-- groups of two columns come in their order
SELECT [g0], [g1], COUNT_BIG(*) AS [n0] FROM (SELECT CAST([traceId] AS VARBINARY(MAX)) AS [g0], CAST([name] AS VARBINARY(MAX)) AS [g1] FROM [agent].[mastra_ai_spans] WHERE [traceId_key] IN (@p1, @p2, @p3)) AS [rows] GROUP BY [g0], [g1];

-- groups of text keep its case
SELECT [g0], COUNT_BIG(*) AS [n0] FROM (SELECT CAST([reason] AS VARBINARY(MAX)) AS [g0] FROM [agent].[mastra_scorers]) AS [rows] GROUP BY [g0];

-- the least and the greatest text by code point
SELECT MIN([m0]) AS [n0], MAX([m1]) AS [n1] FROM (SELECT CONVERT(VARCHAR(MAX), CAST([title] AS VARBINARY(MAX)), 2) COLLATE Latin1_General_BIN2 AS [m0], CONVERT(VARCHAR(MAX), CAST([title] AS VARBINARY(MAX)), 2) COLLATE Latin1_General_BIN2 AS [m1] FROM [agent].[mastra_threads]) AS [rows];

-- the first and the last moment
SELECT MIN([m0]) AS [n0], MAX([m1]) AS [n1] FROM (SELECT DATEDIFF_BIG(MICROSECOND, '19700101', [startedAt]) AS [m0], DATEDIFF_BIG(MICROSECOND, '19700101', [startedAt]) AS [m1] FROM [agent].[mastra_ai_spans] WHERE [traceId_key] IN (@p1, @p2, @p3)) AS [rows];

-- sums of 64 bits are exact
SELECT [g0], CAST(SUM(CAST([m0] AS DECIMAL(38, 0))) AS NVARCHAR(40)) AS [n0], MIN([m1]) AS [n1], MAX([m2]) AS [n2] FROM (SELECT CAST([traceId] AS VARBINARY(MAX)) AS [g0], [inputTokens] AS [m0], [inputTokens] AS [m1], [inputTokens] AS [m2] FROM [agent].[mastra_ai_spans] WHERE [traceId_key] IN (@p1, @p2, @p3)) AS [rows] GROUP BY [g0];

-- buckets begin at multiples of their width, before 1970 too
SELECT [g0], COUNT_BIG(*) AS [n0], SUM([m1]) AS [n1] FROM (SELECT DATEDIFF_BIG(MICROSECOND, '19700101', [startedAt]) - (DATEDIFF_BIG(MICROSECOND, '19700101', [startedAt]) % 3600000000 + 3600000000) % 3600000000 AS [g0], [cost] AS [m1] FROM [agent].[mastra_ai_spans] WHERE [traceId_key] IN (@p1, @p2, @p3)) AS [rows] GROUP BY [g0];

-- the bucket of null is null, and last
SELECT [g0], COUNT_BIG(*) AS [n0] FROM (SELECT DATEDIFF_BIG(MICROSECOND, '19700101', [endedAt]) - (DATEDIFF_BIG(MICROSECOND, '19700101', [endedAt]) % 86400000000 + 86400000000) % 86400000000 AS [g0] FROM [agent].[mastra_ai_spans] WHERE [traceId_key] = @p1) AS [rows] GROUP BY [g0];

-- letters of either case are alike within texts
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id] FROM [agent].[mastra_resources] WHERE CHARINDEX(@p1, REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(CAST([workingMemory] AS NVARCHAR(MAX)) COLLATE Latin1_General_100_BIN2, N'D', N'd'), N'E', N'e'), N'F', N'f'), N'N', N'n'), N'R', N'r'), N'U', N'u')) > 0;

-- what is contained is no pattern
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id] FROM [agent].[mastra_resources] WHERE CHARINDEX(@p1, CAST([workingMemory] AS NVARCHAR(MAX)) COLLATE Latin1_General_100_BIN2) > 0;

-- and no regular expression
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id] FROM [agent].[mastra_resources] WHERE CHARINDEX(@p1, REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(CAST([workingMemory] AS NVARCHAR(MAX)) COLLATE Latin1_General_100_BIN2, N'D', N'd'), N'E', N'e'), N'F', N'f'), N'N', N'n'), N'R', N'r')) > 0;

-- letters beyond ASCII have two cases too
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id] FROM [agent].[mastra_resources] WHERE CHARINDEX(@p1, REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(CAST([workingMemory] AS NVARCHAR(MAX)) COLLATE Latin1_General_100_BIN2, N'A', N'a'), N'C', N'c'), N'I', N'i'), N'L', N'l'), N'R', N'r'), N'É', N'é')) > 0;

-- JSON contains what its text does
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id] FROM [agent].[mastra_resources] WHERE CHARINDEX(@p1, REPLACE(REPLACE(REPLACE(REPLACE(CAST([metadata] AS NVARCHAR(MAX)) COLLATE Latin1_General_100_BIN2, N'E', N'e'), N'N', N'n'), N'O', N'o'), N'T', N't')) > 0;

-- whether null contains a text is unknown
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id] FROM [agent].[mastra_resources] WHERE NOT (CHARINDEX(@p1, REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(CAST([workingMemory] AS NVARCHAR(MAX)) COLLATE Latin1_General_100_BIN2, N'D', N'd'), N'E', N'e'), N'F', N'f'), N'N', N'n'), N'R', N'r'), N'U', N'u')) > 0);

-- more often, in shorter texts and newer comes first
-- only the best are given
-- rows with more of the words come first
-- a part of a word is none
-- names of fields are no words
-- words are cut where JSON breaks a line
-- words have two cases in every script
-- words are of any script
SELECT COUNT_BIG(*) AS [n0], MIN([m1]) AS [n1], MAX([m2]) AS [n2] FROM (SELECT DATEDIFF_BIG(MICROSECOND, '19700101', [createdAt]) AS [m1], DATEDIFF_BIG(MICROSECOND, '19700101', [createdAt]) AS [m2] FROM [agent].[mastra_resources]) AS [rows];

-- more often, in shorter texts and newer comes first
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id], DATEDIFF_BIG(MICROSECOND, '19700101', [createdAt]) AS [_createdAt], CAST([workingMemory] AS NVARCHAR(MAX)) AS [_workingMemory], CAST([metadata] AS NVARCHAR(MAX)) AS [_metadata] FROM (SELECT TOP (1000) WITH TIES * FROM [agent].[mastra_resources] WHERE ([createdAt] <= @p1 AND (CHARINDEX(@p2, REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(CAST([workingMemory] AS NVARCHAR(MAX)) COLLATE Latin1_General_100_BIN2, N'D', N'd'), N'E', N'e'), N'F', N'f'), N'N', N'n'), N'R', N'r'), N'U', N'u')) > 0 OR CHARINDEX(@p3, REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(CAST([metadata] AS NVARCHAR(MAX)) COLLATE Latin1_General_100_BIN2, N'D', N'd'), N'E', N'e'), N'F', N'f'), N'N', N'n'), N'R', N'r'), N'U', N'u')) > 0) AND (CHARINDEX(@p4, REPLACE(REPLACE(REPLACE(REPLACE(CAST([workingMemory] AS NVARCHAR(MAX)) COLLATE Latin1_General_100_BIN2, N'D', N'd'), N'E', N'e'), N'I', N'i'), N'N', N'n')) > 0 OR CHARINDEX(@p5, REPLACE(REPLACE(REPLACE(REPLACE(CAST([metadata] AS NVARCHAR(MAX)) COLLATE Latin1_General_100_BIN2, N'D', N'd'), N'E', N'e'), N'I', N'i'), N'N', N'n')) > 0)) ORDER BY [createdAt] DESC) AS [first] ORDER BY [createdAt] DESC, CAST([id] AS VARBINARY(MAX)) ASC OFFSET 0 ROWS FETCH NEXT 1000 ROWS ONLY;

-- only the best are given
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id], DATEDIFF_BIG(MICROSECOND, '19700101', [createdAt]) AS [_createdAt], CAST([workingMemory] AS NVARCHAR(MAX)) AS [_workingMemory], CAST([metadata] AS NVARCHAR(MAX)) AS [_metadata] FROM (SELECT TOP (1000) WITH TIES * FROM [agent].[mastra_resources] WHERE ([createdAt] <= @p1 AND (CHARINDEX(@p2, REPLACE(REPLACE(REPLACE(REPLACE(CAST([workingMemory] AS NVARCHAR(MAX)) COLLATE Latin1_General_100_BIN2, N'D', N'd'), N'E', N'e'), N'I', N'i'), N'N', N'n')) > 0 OR CHARINDEX(@p3, REPLACE(REPLACE(REPLACE(REPLACE(CAST([metadata] AS NVARCHAR(MAX)) COLLATE Latin1_General_100_BIN2, N'D', N'd'), N'E', N'e'), N'I', N'i'), N'N', N'n')) > 0) AND (CHARINDEX(@p4, REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(CAST([workingMemory] AS NVARCHAR(MAX)) COLLATE Latin1_General_100_BIN2, N'D', N'd'), N'E', N'e'), N'F', N'f'), N'N', N'n'), N'R', N'r'), N'U', N'u')) > 0 OR CHARINDEX(@p5, REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(CAST([metadata] AS NVARCHAR(MAX)) COLLATE Latin1_General_100_BIN2, N'D', N'd'), N'E', N'e'), N'F', N'f'), N'N', N'n'), N'R', N'r'), N'U', N'u')) > 0)) ORDER BY [createdAt] DESC) AS [first] ORDER BY [createdAt] DESC, CAST([id] AS VARBINARY(MAX)) ASC OFFSET 0 ROWS FETCH NEXT 1000 ROWS ONLY;

-- rows with more of the words come first
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id], DATEDIFF_BIG(MICROSECOND, '19700101', [createdAt]) AS [_createdAt], CAST([workingMemory] AS NVARCHAR(MAX)) AS [_workingMemory], CAST([metadata] AS NVARCHAR(MAX)) AS [_metadata] FROM (SELECT TOP (1000) WITH TIES * FROM [agent].[mastra_resources] WHERE ([createdAt] <= @p1 AND ((CHARINDEX(@p2, REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(CAST([workingMemory] AS NVARCHAR(MAX)) COLLATE Latin1_General_100_BIN2, N'D', N'd'), N'E', N'e'), N'F', N'f'), N'N', N'n'), N'R', N'r'), N'U', N'u')) > 0 OR CHARINDEX(@p3, REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(CAST([metadata] AS NVARCHAR(MAX)) COLLATE Latin1_General_100_BIN2, N'D', N'd'), N'E', N'e'), N'F', N'f'), N'N', N'n'), N'R', N'r'), N'U', N'u')) > 0) OR (CHARINDEX(@p4, REPLACE(REPLACE(REPLACE(REPLACE(CAST([workingMemory] AS NVARCHAR(MAX)) COLLATE Latin1_General_100_BIN2, N'D', N'd'), N'E', N'e'), N'I', N'i'), N'N', N'n')) > 0 OR CHARINDEX(@p5, REPLACE(REPLACE(REPLACE(REPLACE(CAST([metadata] AS NVARCHAR(MAX)) COLLATE Latin1_General_100_BIN2, N'D', N'd'), N'E', N'e'), N'I', N'i'), N'N', N'n')) > 0))) ORDER BY [createdAt] DESC) AS [first] ORDER BY [createdAt] DESC, CAST([id] AS VARBINARY(MAX)) ASC OFFSET 0 ROWS FETCH NEXT 1000 ROWS ONLY;

-- a search keeps to its filter
SELECT COUNT_BIG(*) AS [n0], MIN([m1]) AS [n1], MAX([m2]) AS [n2] FROM (SELECT DATEDIFF_BIG(MICROSECOND, '19700101', [createdAt]) AS [m1], DATEDIFF_BIG(MICROSECOND, '19700101', [createdAt]) AS [m2] FROM [agent].[mastra_resources] WHERE [createdAt] < @p1) AS [rows];

-- a search keeps to its filter
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id], DATEDIFF_BIG(MICROSECOND, '19700101', [createdAt]) AS [_createdAt], CAST([workingMemory] AS NVARCHAR(MAX)) AS [_workingMemory], CAST([metadata] AS NVARCHAR(MAX)) AS [_metadata] FROM (SELECT TOP (1000) WITH TIES * FROM [agent].[mastra_resources] WHERE ([createdAt] <= @p1 AND [createdAt] < @p2 AND (CHARINDEX(@p3, REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(CAST([workingMemory] AS NVARCHAR(MAX)) COLLATE Latin1_General_100_BIN2, N'D', N'd'), N'E', N'e'), N'F', N'f'), N'N', N'n'), N'R', N'r'), N'U', N'u')) > 0 OR CHARINDEX(@p4, REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(CAST([metadata] AS NVARCHAR(MAX)) COLLATE Latin1_General_100_BIN2, N'D', N'd'), N'E', N'e'), N'F', N'f'), N'N', N'n'), N'R', N'r'), N'U', N'u')) > 0) AND (CHARINDEX(@p5, REPLACE(REPLACE(REPLACE(REPLACE(CAST([workingMemory] AS NVARCHAR(MAX)) COLLATE Latin1_General_100_BIN2, N'D', N'd'), N'E', N'e'), N'I', N'i'), N'N', N'n')) > 0 OR CHARINDEX(@p6, REPLACE(REPLACE(REPLACE(REPLACE(CAST([metadata] AS NVARCHAR(MAX)) COLLATE Latin1_General_100_BIN2, N'D', N'd'), N'E', N'e'), N'I', N'i'), N'N', N'n')) > 0)) ORDER BY [createdAt] DESC) AS [first] ORDER BY [createdAt] DESC, CAST([id] AS VARBINARY(MAX)) ASC OFFSET 0 ROWS FETCH NEXT 1000 ROWS ONLY;

-- a search keeps to another table's rows
SELECT COUNT_BIG(*) AS [n0], MIN([m1]) AS [n1], MAX([m2]) AS [n2] FROM (SELECT DATEDIFF_BIG(MICROSECOND, '19700101', [createdAt]) AS [m1], DATEDIFF_BIG(MICROSECOND, '19700101', [createdAt]) AS [m2] FROM [agent].[mastra_resources] WHERE (CAST([id] AS VARBINARY(MAX)) IN (SELECT CAST([title] AS VARBINARY(MAX)) AS [found] FROM [agent].[mastra_threads] WHERE [id_key] = @p1) OR [id_key] = @p2)) AS [rows];

-- a search keeps to another table's rows
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id], DATEDIFF_BIG(MICROSECOND, '19700101', [createdAt]) AS [_createdAt], CAST([workingMemory] AS NVARCHAR(MAX)) AS [_workingMemory], CAST([metadata] AS NVARCHAR(MAX)) AS [_metadata] FROM (SELECT TOP (1000) WITH TIES * FROM [agent].[mastra_resources] WHERE ([createdAt] <= @p1 AND (CAST([id] AS VARBINARY(MAX)) IN (SELECT CAST([title] AS VARBINARY(MAX)) AS [found] FROM [agent].[mastra_threads] WHERE [id_key] = @p2) OR [id_key] = @p3) AND (CHARINDEX(@p4, REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(CAST([workingMemory] AS NVARCHAR(MAX)) COLLATE Latin1_General_100_BIN2, N'D', N'd'), N'E', N'e'), N'F', N'f'), N'N', N'n'), N'R', N'r'), N'U', N'u')) > 0 OR CHARINDEX(@p5, REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(CAST([metadata] AS NVARCHAR(MAX)) COLLATE Latin1_General_100_BIN2, N'D', N'd'), N'E', N'e'), N'F', N'f'), N'N', N'n'), N'R', N'r'), N'U', N'u')) > 0)) ORDER BY [createdAt] DESC) AS [first] ORDER BY [createdAt] DESC, CAST([id] AS VARBINARY(MAX)) ASC OFFSET 0 ROWS FETCH NEXT 1000 ROWS ONLY;

-- a part of a word is none
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id], DATEDIFF_BIG(MICROSECOND, '19700101', [createdAt]) AS [_createdAt], CAST([workingMemory] AS NVARCHAR(MAX)) AS [_workingMemory], CAST([metadata] AS NVARCHAR(MAX)) AS [_metadata] FROM (SELECT TOP (1000) WITH TIES * FROM [agent].[mastra_resources] WHERE ([createdAt] <= @p1 AND (CHARINDEX(@p2, REPLACE(REPLACE(REPLACE(REPLACE(CAST([workingMemory] AS NVARCHAR(MAX)) COLLATE Latin1_General_100_BIN2, N'D', N'd'), N'F', N'f'), N'N', N'n'), N'U', N'u')) > 0 OR CHARINDEX(@p3, REPLACE(REPLACE(REPLACE(REPLACE(CAST([metadata] AS NVARCHAR(MAX)) COLLATE Latin1_General_100_BIN2, N'D', N'd'), N'F', N'f'), N'N', N'n'), N'U', N'u')) > 0)) ORDER BY [createdAt] DESC) AS [first] ORDER BY [createdAt] DESC, CAST([id] AS VARBINARY(MAX)) ASC OFFSET 0 ROWS FETCH NEXT 1000 ROWS ONLY;

-- names of fields are no words
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id], DATEDIFF_BIG(MICROSECOND, '19700101', [createdAt]) AS [_createdAt], CAST([workingMemory] AS NVARCHAR(MAX)) AS [_workingMemory], CAST([metadata] AS NVARCHAR(MAX)) AS [_metadata] FROM (SELECT TOP (1000) WITH TIES * FROM [agent].[mastra_resources] WHERE ([createdAt] <= @p1 AND (CHARINDEX(@p2, REPLACE(REPLACE(REPLACE(REPLACE(CAST([workingMemory] AS NVARCHAR(MAX)) COLLATE Latin1_General_100_BIN2, N'I', N'i'), N'L', N'l'), N'S', N's'), N'T', N't')) > 0 OR CHARINDEX(@p3, REPLACE(REPLACE(REPLACE(REPLACE(CAST([metadata] AS NVARCHAR(MAX)) COLLATE Latin1_General_100_BIN2, N'I', N'i'), N'L', N'l'), N'S', N's'), N'T', N't')) > 0)) ORDER BY [createdAt] DESC) AS [first] ORDER BY [createdAt] DESC, CAST([id] AS VARBINARY(MAX)) ASC OFFSET 0 ROWS FETCH NEXT 1000 ROWS ONLY;

-- words are cut where JSON breaks a line
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id], DATEDIFF_BIG(MICROSECOND, '19700101', [createdAt]) AS [_createdAt], CAST([workingMemory] AS NVARCHAR(MAX)) AS [_workingMemory], CAST([metadata] AS NVARCHAR(MAX)) AS [_metadata] FROM (SELECT TOP (1000) WITH TIES * FROM [agent].[mastra_resources] WHERE ([createdAt] <= @p1 AND (CHARINDEX(@p2, REPLACE(REPLACE(REPLACE(CAST([workingMemory] AS NVARCHAR(MAX)) COLLATE Latin1_General_100_BIN2, N'N', N'n'), N'O', N'o'), N'W', N'w')) > 0 OR CHARINDEX(@p3, REPLACE(REPLACE(REPLACE(CAST([metadata] AS NVARCHAR(MAX)) COLLATE Latin1_General_100_BIN2, N'N', N'n'), N'O', N'o'), N'W', N'w')) > 0)) ORDER BY [createdAt] DESC) AS [first] ORDER BY [createdAt] DESC, CAST([id] AS VARBINARY(MAX)) ASC OFFSET 0 ROWS FETCH NEXT 1000 ROWS ONLY;

-- words have two cases in every script
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id], DATEDIFF_BIG(MICROSECOND, '19700101', [createdAt]) AS [_createdAt], CAST([workingMemory] AS NVARCHAR(MAX)) AS [_workingMemory], CAST([metadata] AS NVARCHAR(MAX)) AS [_metadata] FROM (SELECT TOP (1000) WITH TIES * FROM [agent].[mastra_resources] WHERE ([createdAt] <= @p1 AND (CHARINDEX(@p2, REPLACE(REPLACE(CAST([workingMemory] AS NVARCHAR(MAX)) COLLATE Latin1_General_100_BIN2, N'T', N't'), N'É', N'é')) > 0 OR CHARINDEX(@p3, REPLACE(REPLACE(CAST([metadata] AS NVARCHAR(MAX)) COLLATE Latin1_General_100_BIN2, N'T', N't'), N'É', N'é')) > 0)) ORDER BY [createdAt] DESC) AS [first] ORDER BY [createdAt] DESC, CAST([id] AS VARBINARY(MAX)) ASC OFFSET 0 ROWS FETCH NEXT 1000 ROWS ONLY;

-- words are of any script
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id], DATEDIFF_BIG(MICROSECOND, '19700101', [createdAt]) AS [_createdAt], CAST([workingMemory] AS NVARCHAR(MAX)) AS [_workingMemory], CAST([metadata] AS NVARCHAR(MAX)) AS [_metadata] FROM (SELECT TOP (1000) WITH TIES * FROM [agent].[mastra_resources] WHERE ([createdAt] <= @p1 AND (CHARINDEX(@p2, CAST([workingMemory] AS NVARCHAR(MAX)) COLLATE Latin1_General_100_BIN2) > 0 OR CHARINDEX(@p3, CAST([metadata] AS NVARCHAR(MAX)) COLLATE Latin1_General_100_BIN2) > 0)) ORDER BY [createdAt] DESC) AS [first] ORDER BY [createdAt] DESC, CAST([id] AS VARBINARY(MAX)) ASC OFFSET 0 ROWS FETCH NEXT 1000 ROWS ONLY;

-- the nearest by angle first, whatever their length, ties by key
-- only the nearest are given
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id], [embedding] AS [_embedding] FROM [agent].[memory_messages] ORDER BY CAST([id] AS VARBINARY(MAX)) ASC OFFSET 0 ROWS FETCH NEXT 8388608 ROWS ONLY;

-- vectors of other dimensions are passed over
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id], [embedding] AS [_embedding] FROM [agent].[memory_messages] ORDER BY CAST([id] AS VARBINARY(MAX)) ASC OFFSET 0 ROWS FETCH NEXT 5592405 ROWS ONLY;

-- neighbours keep to a filter
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id], [embedding] AS [_embedding] FROM [agent].[memory_messages] WHERE [thread_id_key] = @p1 ORDER BY CAST([id] AS VARBINARY(MAX)) ASC OFFSET 0 ROWS FETCH NEXT 8388608 ROWS ONLY;

-- no neighbours of none
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id], [embedding] AS [_embedding] FROM [agent].[memory_messages] WHERE 1 = 0;
