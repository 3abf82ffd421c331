"""What an agent remembers: threads, the messages in them, and the resources (users, entities) that own them."""

from __future__ import annotations

from colonnade.schemas.kinds import INTEGER, JSON, TEXT, TIMESTAMP, VECTOR, field
from colonnade.schemas.table import Index, table

THREADS = table(
    "threads",
    [
        field("id", TEXT, "Unique identifier of the thread.", identifier=True),
        field("resourceId", TEXT, "The resource (user, entity) that owns the thread.", identifier=True),
        field("title", TEXT, "Title of the conversation; empty where none was given."),
        field("metadata", JSON, "Custom metadata, an object.", nullable=True),
        field("createdAt", TIMESTAMP, "When the thread was made."),
        field("updatedAt", TIMESTAMP, "When the thread or one of its messages last changed."),
    ],
    domain="memory",
    record="Thread",
    mastra="mastra_threads",
    description="Conversations: they group messages and belong to a resource.",
    key=["id"],
    indexes=[Index(("resourceId",), "createdAt")],
)

MESSAGES = table(
    "messages",
    [
        field("id", TEXT, "Unique identifier of the message, over all threads.", identifier=True),
        field("thread_id", TEXT, "The thread it belongs to.", api="threadId", identifier=True),
        field("content", JSON, "The message, `{format: 2, parts: [...], content?, metadata?}`.", payload=True),
        field("role", TEXT, "Who speaks: `user`, `assistant`, `system` or `tool`."),
        field("type", TEXT, "Layout of the content; `v2` unless given."),
        field("createdAt", TIMESTAMP, "When it was written; orders the thread.", once=True),
        field("resourceId", TEXT, "The resource that owns it.", nullable=True, identifier=True),
    ],
    domain="memory",
    record="Message",
    mastra="mastra_messages",
    description="What was said in a thread, one row a message.",
    key=["id"],
    indexes=[Index(("thread_id",), "createdAt")],
)

RESOURCES = table(
    "resources",
    [
        field("id", TEXT, "Identifier of the user or entity: the `resourceId` of threads.", identifier=True),
        field("workingMemory", TEXT, "Working memory that lasts over all threads, as Markdown.", nullable=True),
        field("metadata", JSON, "Custom metadata, an object.", nullable=True),
        field("createdAt", TIMESTAMP, "When the resource was first kept."),
        field("updatedAt", TIMESTAMP, "When it last changed."),
    ],
    domain="memory",
    record="Resource",
    mastra="mastra_resources",
    description="Users and entities, with the working memory that is kept of each.",
    key=["id"],
)

VECTORS = table(
    "memory_messages",
    [
        field("id", TEXT, "The message's id, and `#1`, `#2` ... for further pieces of it.", identifier=True),
        field("message_id", TEXT, "The message that was embedded.", api="messageId", identifier=True),
        field("thread_id", TEXT, "The thread of the message.", api="threadId", identifier=True),
        field("resourceId", TEXT, "The resource that owns the message.", nullable=True, identifier=True),
        field("piece", INTEGER, "Which piece of the message's text it is, from 0."),
        field("model", TEXT, "The embedding model; vectors of different models are not compared."),
        field("createdAt", TIMESTAMP, "When the message was written."),
        field("embedding", VECTOR, "Where the meaning of the text is.", payload=True),
    ],
    domain="memory",
    record="MessageVector",
    mastra="memory_messages",
    description="Embeddings of messages, for recall by meaning; they come and go with their messages.",
    key=["id"],
    indexes=[Index((column,), "createdAt") for column in ("message_id", "thread_id", "resourceId")],
)
