"""The state of workflow runs, so that a suspended run can be resumed after a restart."""

from __future__ import annotations

from colonnade.schemas.kinds import JSON, TEXT, TIMESTAMP, field
from colonnade.schemas.table import Index, table

WORKFLOWS = table(
    "workflows",
    [
        field("workflow_name", TEXT, "Name of the workflow.", api="workflowName", identifier=True),
        field("run_id", TEXT, "Identifier of the run.", api="runId", identifier=True),
        field("resourceId", TEXT, "The resource that the run belongs to.", nullable=True, identifier=True),
        field("snapshot", JSON, "The run's state: status, value, context, result ...", payload=True),
        field("createdAt", TIMESTAMP, "When the run was first kept.", once=True),
        field("updatedAt", TIMESTAMP, "When its state last changed."),
    ],
    domain="workflows",
    record="WorkflowRun",
    mastra="mastra_workflow_snapshot",
    description="One row a run of a workflow: its latest snapshot.",
    key=["workflow_name", "run_id"],
    indexes=[Index(("workflow_name",), "createdAt"), Index(("resourceId",), "createdAt")],
)
