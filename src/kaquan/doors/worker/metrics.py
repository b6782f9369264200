"""What the jobs tell Prometheus; served by the HTTP processes, which share a folder of figures with the worker."""

from prometheus_client import Counter, Gauge

AUDIT_FINDINGS = Gauge(
    "kaquan_audit_findings",
    "What the last run of each audit found wrong",
    ["audit"],
    multiprocess_mode="mostrecent",
)
AUDITED_AT = Gauge(
    "kaquan_audit_timestamp_seconds",
    "The moment that the last run of audits is true for",
    multiprocess_mode="mostrecent",
)
LOG_LEAVES = Counter("kaquan_log_leaves", "Leaves that this worker gave their place in the transparency log")
LOG_SIGNED_AT = Gauge(
    "kaquan_log_signed_timestamp_seconds",
    "When the newest checkpoint of the transparency log was signed",
    multiprocess_mode="mostrecent",
)
LOG_COSIGNED_AT = Gauge(
    "kaquan_log_cosigned_timestamp_seconds",
    "When enough witnesses last cosigned the newest checkpoint of the log",
    multiprocess_mode="mostrecent",
)
LOG_WITNESS_TROUBLE = Gauge(
    "kaquan_log_witness_trouble",
    "1 for the trouble that a witness of the log has, such as slow or forked, and 0 for all others",
    ["witness", "trouble"],
    multiprocess_mode="mostrecent",
)
JOB_RESULTS = Counter("kaquan_job_results", "What jobs did: authorizations expired, answers forgotten …", ["job"])
