"""Agents that are defined and changed while the program runs."""

from __future__ import annotations

from colonnade.schemas.kinds import JSON, TEXT, TIMESTAMP, field
from colonnade.schemas.table import table

AGENTS = table(
    "agents",
    [
        field("id", TEXT, "Unique identifier of the agent.", identifier=True),
        field("name", TEXT, "Name of the agent."),
        field("description", TEXT, "What the agent is for.", nullable=True),
        field("instructions", TEXT, "System prompt of the agent."),
        field("model", JSON, "The model: provider, name and settings."),
        field("tools", JSON, "Keys of the tools it may call.", nullable=True),
        field("defaultOptions", JSON, "Default options of a call.", nullable=True),
        field("workflows", JSON, "Keys of the workflows it may run.", nullable=True),
        field("agents", JSON, "Keys of the agents it may ask.", nullable=True),
        field("inputProcessors", JSON, "Processors of the input.", nullable=True),
        field("outputProcessors", JSON, "Processors of the output.", nullable=True),
        field("memory", JSON, "Key of its memory.", nullable=True),
        field("scorers", JSON, "Scorers by key, with their sampling.", nullable=True),
        field("metadata", JSON, "Custom metadata, an object.", nullable=True),
        field("createdAt", TIMESTAMP, "When the agent was made."),
        field("updatedAt", TIMESTAMP, "When it last changed."),
    ],
    domain="agents",
    record="Agent",
    mastra="mastra_agents",
    description="Stored agents: what to say, which model, which tools.",
    key=["id"],
)
