"""The HTTP API: finished copies in milliseconds, everything else requested and awaited.

Here belongs HTTP alone: what a question may look like, how an answer is written, who may ask. What
the answer is belongs to `serving`. Nothing here knows Dagster; who materializes what was requested
finds it in the queue.

app           the assembly
api_settings  where it listens and who may ask, from the environment; what one question may cost
connections   how many, how long, how large a head: before there is a question
guarding      the host, the token, the size of a body: before anything is read
errors        every error as JSON, without traces
middleware    behind a proxy; heads without a body; gzip
ranges        what the client has already, and parts of a file
encoding      rows as JSON, CSV, Arrow or Parquet
measuring     what /metrics tells
docs_page     /docs without anything from elsewhere, and examples
page_files    the web page at / for browsers, open without a token
questions     the parameters and bodies
asking        how a question in a URL is read, and what an endpoint tells of it
answers       the shapes of JSON answers, for the OpenAPI document
waiting       a turn at what is heavy, and what is not stored, awaited without a thread
routes_…      the endpoints
"""
