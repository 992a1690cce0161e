"""Keeps a sample of what is served, for people to look at; knows neither protobuf nor grpc.

    answer → `sampler` draws it or counts it → bounded queue → `writer`, one thread → segments

`policy` says with which probability each answer is drawn; `segments` is the format of the files,
and reads them. `erase` removes a request's rows from them. Nothing here may delay or fail an
answer: a full queue or disk stops keeping, never serving, and what is lost is counted.
"""
