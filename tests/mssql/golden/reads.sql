-- a row that is to be changed
SELECT CAST([workflow_name] AS NVARCHAR(MAX)) AS [_workflow_name], CAST([run_id] AS NVARCHAR(MAX)) AS [_run_id], CAST([resourceId] AS NVARCHAR(MAX)) AS [_resourceId], CAST([snapshot] AS NVARCHAR(MAX)) AS [_snapshot], DATEDIFF_BIG(MICROSECOND, '19700101', [createdAt]) AS [_createdAt], DATEDIFF_BIG(MICROSECOND, '19700101', [updatedAt]) AS [_updatedAt] FROM [agent].[mastra_workflow_snapshot] WITH (UPDLOCK, HOLDLOCK) WHERE ([workflow_name_key] = @p1 AND [run_id_key] = @p2);

-- no rows at all
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id] FROM [agent].[mastra_threads] WHERE 1 = 0;

-- all rows but the first
SELECT CAST([id] AS NVARCHAR(MAX)) AS [_id] FROM [agent].[mastra_threads] ORDER BY CAST([id] AS VARBINARY(MAX)) ASC OFFSET 1 ROWS;
