from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Verdict(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VERDICT_UNSPECIFIED: _ClassVar[Verdict]
    VERDICT_PASS: _ClassVar[Verdict]
    VERDICT_REVIEW: _ClassVar[Verdict]
    VERDICT_BLOCK: _ClassVar[Verdict]

class Reason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REASON_UNSPECIFIED: _ClassVar[Reason]
    REASON_PARTIAL: _ClassVar[Reason]
    REASON_OUT_OF_DISTRIBUTION: _ClassVar[Reason]
    REASON_UNCERTIFIED: _ClassVar[Reason]
    REASON_DEGRADED: _ClassVar[Reason]
    REASON_MISSING_FIELD: _ClassVar[Reason]
    REASON_IGNORED_FIELD: _ClassVar[Reason]
    REASON_NOT_EXPLAINED: _ClassVar[Reason]
    REASON_UNREADABLE: _ClassVar[Reason]
    REASON_NOT_CALIBRATED: _ClassVar[Reason]
    REASON_NOT_LEARNT: _ClassVar[Reason]

class ContradictionKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CONTRADICTION_KIND_UNSPECIFIED: _ClassVar[ContradictionKind]
    CONTRADICTION_KIND_NUMBER: _ClassVar[ContradictionKind]
    CONTRADICTION_KIND_NAME: _ClassVar[ContradictionKind]
    CONTRADICTION_KIND_UNIT: _ClassVar[ContradictionKind]
    CONTRADICTION_KIND_NEGATION: _ClassVar[ContradictionKind]
VERDICT_UNSPECIFIED: Verdict
VERDICT_PASS: Verdict
VERDICT_REVIEW: Verdict
VERDICT_BLOCK: Verdict
REASON_UNSPECIFIED: Reason
REASON_PARTIAL: Reason
REASON_OUT_OF_DISTRIBUTION: Reason
REASON_UNCERTIFIED: Reason
REASON_DEGRADED: Reason
REASON_MISSING_FIELD: Reason
REASON_IGNORED_FIELD: Reason
REASON_NOT_EXPLAINED: Reason
REASON_UNREADABLE: Reason
REASON_NOT_CALIBRATED: Reason
REASON_NOT_LEARNT: Reason
CONTRADICTION_KIND_UNSPECIFIED: ContradictionKind
CONTRADICTION_KIND_NUMBER: ContradictionKind
CONTRADICTION_KIND_NAME: ContradictionKind
CONTRADICTION_KIND_UNIT: ContradictionKind
CONTRADICTION_KIND_NEGATION: ContradictionKind

class ScoreRequest(_message.Message):
    __slots__ = ("evaluator", "version", "input", "output", "ground_truth", "request_id", "explain", "attributes")
    class AttributesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    EVALUATOR_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    GROUND_TRUTH_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    EXPLAIN_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    evaluator: str
    version: int
    input: str
    output: str
    ground_truth: str
    request_id: str
    explain: bool
    attributes: _containers.ScalarMap[str, str]
    def __init__(self, evaluator: _Optional[str] = ..., version: _Optional[int] = ..., input: _Optional[str] = ..., output: _Optional[str] = ..., ground_truth: _Optional[str] = ..., request_id: _Optional[str] = ..., explain: bool = ..., attributes: _Optional[_Mapping[str, str]] = ...) -> None: ...

class FieldCoverage(_message.Message):
    __slots__ = ("field", "tokens_scored", "tokens_total", "tokens_unknown", "characters_dropped", "unread_share")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    TOKENS_SCORED_FIELD_NUMBER: _ClassVar[int]
    TOKENS_TOTAL_FIELD_NUMBER: _ClassVar[int]
    TOKENS_UNKNOWN_FIELD_NUMBER: _ClassVar[int]
    CHARACTERS_DROPPED_FIELD_NUMBER: _ClassVar[int]
    UNREAD_SHARE_FIELD_NUMBER: _ClassVar[int]
    field: str
    tokens_scored: int
    tokens_total: int
    tokens_unknown: int
    characters_dropped: int
    unread_share: float
    def __init__(self, field: _Optional[str] = ..., tokens_scored: _Optional[int] = ..., tokens_total: _Optional[int] = ..., tokens_unknown: _Optional[int] = ..., characters_dropped: _Optional[int] = ..., unread_share: _Optional[float] = ...) -> None: ...

class Certificate(_message.Message):
    __slots__ = ("max_false_pass", "max_false_block", "confidence", "n", "date")
    MAX_FALSE_PASS_FIELD_NUMBER: _ClassVar[int]
    MAX_FALSE_BLOCK_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    N_FIELD_NUMBER: _ClassVar[int]
    DATE_FIELD_NUMBER: _ClassVar[int]
    max_false_pass: float
    max_false_block: float
    confidence: float
    n: int
    date: str
    def __init__(self, max_false_pass: _Optional[float] = ..., max_false_block: _Optional[float] = ..., confidence: _Optional[float] = ..., n: _Optional[int] = ..., date: _Optional[str] = ...) -> None: ...

class Highlight(_message.Message):
    __slots__ = ("start", "end", "weight")
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    start: int
    end: int
    weight: float
    def __init__(self, start: _Optional[int] = ..., end: _Optional[int] = ..., weight: _Optional[float] = ...) -> None: ...

class Passage(_message.Message):
    __slots__ = ("start", "end", "share")
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    SHARE_FIELD_NUMBER: _ClassVar[int]
    start: int
    end: int
    share: float
    def __init__(self, start: _Optional[int] = ..., end: _Optional[int] = ..., share: _Optional[float] = ...) -> None: ...

class Contradiction(_message.Message):
    __slots__ = ("kind", "start", "end", "truth_start", "truth_end", "strength")
    KIND_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    TRUTH_START_FIELD_NUMBER: _ClassVar[int]
    TRUTH_END_FIELD_NUMBER: _ClassVar[int]
    STRENGTH_FIELD_NUMBER: _ClassVar[int]
    kind: ContradictionKind
    start: int
    end: int
    truth_start: int
    truth_end: int
    strength: float
    def __init__(self, kind: _Optional[_Union[ContradictionKind, str]] = ..., start: _Optional[int] = ..., end: _Optional[int] = ..., truth_start: _Optional[int] = ..., truth_end: _Optional[int] = ..., strength: _Optional[float] = ...) -> None: ...

class SentenceEvidence(_message.Message):
    __slots__ = ("start", "end", "score", "evaluator_score", "passage", "contradictions")
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    EVALUATOR_SCORE_FIELD_NUMBER: _ClassVar[int]
    PASSAGE_FIELD_NUMBER: _ClassVar[int]
    CONTRADICTIONS_FIELD_NUMBER: _ClassVar[int]
    start: int
    end: int
    score: float
    evaluator_score: float
    passage: Passage
    contradictions: _containers.RepeatedCompositeFieldContainer[Contradiction]
    def __init__(self, start: _Optional[int] = ..., end: _Optional[int] = ..., score: _Optional[float] = ..., evaluator_score: _Optional[float] = ..., passage: _Optional[_Union[Passage, _Mapping]] = ..., contradictions: _Optional[_Iterable[_Union[Contradiction, _Mapping]]] = ...) -> None: ...

class Timing(_message.Message):
    __slots__ = ("encode_seconds", "queue_seconds", "inference_seconds", "total_seconds")
    ENCODE_SECONDS_FIELD_NUMBER: _ClassVar[int]
    QUEUE_SECONDS_FIELD_NUMBER: _ClassVar[int]
    INFERENCE_SECONDS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_SECONDS_FIELD_NUMBER: _ClassVar[int]
    encode_seconds: float
    queue_seconds: float
    inference_seconds: float
    total_seconds: float
    def __init__(self, encode_seconds: _Optional[float] = ..., queue_seconds: _Optional[float] = ..., inference_seconds: _Optional[float] = ..., total_seconds: _Optional[float] = ...) -> None: ...

class ScoreResponse(_message.Message):
    __slots__ = ("request_id", "evaluator", "version", "engine", "score", "verdict", "pass_at", "block_below", "certificate", "reasons", "coverage", "timing", "cached", "ood_score", "highlights", "evidence")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    EVALUATOR_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    PASS_AT_FIELD_NUMBER: _ClassVar[int]
    BLOCK_BELOW_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    COVERAGE_FIELD_NUMBER: _ClassVar[int]
    TIMING_FIELD_NUMBER: _ClassVar[int]
    CACHED_FIELD_NUMBER: _ClassVar[int]
    OOD_SCORE_FIELD_NUMBER: _ClassVar[int]
    HIGHLIGHTS_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    evaluator: str
    version: int
    engine: str
    score: float
    verdict: Verdict
    pass_at: float
    block_below: float
    certificate: Certificate
    reasons: _containers.RepeatedScalarFieldContainer[Reason]
    coverage: _containers.RepeatedCompositeFieldContainer[FieldCoverage]
    timing: Timing
    cached: bool
    ood_score: float
    highlights: _containers.RepeatedCompositeFieldContainer[Highlight]
    evidence: _containers.RepeatedCompositeFieldContainer[SentenceEvidence]
    def __init__(self, request_id: _Optional[str] = ..., evaluator: _Optional[str] = ..., version: _Optional[int] = ..., engine: _Optional[str] = ..., score: _Optional[float] = ..., verdict: _Optional[_Union[Verdict, str]] = ..., pass_at: _Optional[float] = ..., block_below: _Optional[float] = ..., certificate: _Optional[_Union[Certificate, _Mapping]] = ..., reasons: _Optional[_Iterable[_Union[Reason, str]]] = ..., coverage: _Optional[_Iterable[_Union[FieldCoverage, _Mapping]]] = ..., timing: _Optional[_Union[Timing, _Mapping]] = ..., cached: bool = ..., ood_score: _Optional[float] = ..., highlights: _Optional[_Iterable[_Union[Highlight, _Mapping]]] = ..., evidence: _Optional[_Iterable[_Union[SentenceEvidence, _Mapping]]] = ...) -> None: ...

class ScoreBatchRequest(_message.Message):
    __slots__ = ("requests",)
    REQUESTS_FIELD_NUMBER: _ClassVar[int]
    requests: _containers.RepeatedCompositeFieldContainer[ScoreRequest]
    def __init__(self, requests: _Optional[_Iterable[_Union[ScoreRequest, _Mapping]]] = ...) -> None: ...

class ItemError(_message.Message):
    __slots__ = ("code", "message", "retry_after_ms")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_MS_FIELD_NUMBER: _ClassVar[int]
    code: int
    message: str
    retry_after_ms: int
    def __init__(self, code: _Optional[int] = ..., message: _Optional[str] = ..., retry_after_ms: _Optional[int] = ...) -> None: ...

class ScoreBatchItem(_message.Message):
    __slots__ = ("response", "error")
    RESPONSE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    response: ScoreResponse
    error: ItemError
    def __init__(self, response: _Optional[_Union[ScoreResponse, _Mapping]] = ..., error: _Optional[_Union[ItemError, _Mapping]] = ...) -> None: ...

class ScoreBatchResponse(_message.Message):
    __slots__ = ("items",)
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[ScoreBatchItem]
    def __init__(self, items: _Optional[_Iterable[_Union[ScoreBatchItem, _Mapping]]] = ...) -> None: ...

class ListEvaluatorsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class EvaluatorInfo(_message.Message):
    __slots__ = ("name", "version", "engine", "criterion", "fields", "pass_at", "block_below", "certificate", "max_tokens")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    CRITERION_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    PASS_AT_FIELD_NUMBER: _ClassVar[int]
    BLOCK_BELOW_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    MAX_TOKENS_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: int
    engine: str
    criterion: str
    fields: _containers.RepeatedScalarFieldContainer[str]
    pass_at: float
    block_below: float
    certificate: Certificate
    max_tokens: int
    def __init__(self, name: _Optional[str] = ..., version: _Optional[int] = ..., engine: _Optional[str] = ..., criterion: _Optional[str] = ..., fields: _Optional[_Iterable[str]] = ..., pass_at: _Optional[float] = ..., block_below: _Optional[float] = ..., certificate: _Optional[_Union[Certificate, _Mapping]] = ..., max_tokens: _Optional[int] = ...) -> None: ...

class ListEvaluatorsResponse(_message.Message):
    __slots__ = ("evaluators",)
    EVALUATORS_FIELD_NUMBER: _ClassVar[int]
    evaluators: _containers.RepeatedCompositeFieldContainer[EvaluatorInfo]
    def __init__(self, evaluators: _Optional[_Iterable[_Union[EvaluatorInfo, _Mapping]]] = ...) -> None: ...

class SubmitFeedbackRequest(_message.Message):
    __slots__ = ("request_id", "evaluator", "good", "source", "note")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    EVALUATOR_FIELD_NUMBER: _ClassVar[int]
    GOOD_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    evaluator: str
    good: bool
    source: str
    note: str
    def __init__(self, request_id: _Optional[str] = ..., evaluator: _Optional[str] = ..., good: bool = ..., source: _Optional[str] = ..., note: _Optional[str] = ...) -> None: ...

class SubmitFeedbackResponse(_message.Message):
    __slots__ = ("matches",)
    MATCHES_FIELD_NUMBER: _ClassVar[int]
    matches: int
    def __init__(self, matches: _Optional[int] = ...) -> None: ...
