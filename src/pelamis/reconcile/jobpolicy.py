"""The rules of a Job: index sets, the pod failure policy, the success policy, back-off after failures. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from pelamis.api.batch.job import Job, PodFailurePolicyOnExitCodesRequirement, SuccessPolicyRule
from pelamis.api.core.pod.pod import Pod
from pelamis.base.clock import parse_rfc3339

INDEX = "batch.kubernetes.io/job-completion-index"
BACKOFF_S = (10.0, 600.0)


def parse_indexes(text: str) -> set[int]:
    """``1,3-5`` → {1, 3, 4, 5}; what cannot be read is left out."""
    out: set[int] = set()
    for part in text.split(",") if text else ():
        first, dash, last = part.partition("-")
        try:
            out.update(range(int(first), int(last) + 1) if dash else (int(first),))
        except ValueError:
            continue
    return out


def format_indexes(indexes: Collection[int]) -> str:
    """{1, 3, 4, 5} → ``1,3-5``; a pair is written as two numbers."""
    out: list[str] = []
    ordered = sorted(indexes)
    at = 0
    while at < len(ordered):
        end = at
        while end + 1 < len(ordered) and ordered[end + 1] == ordered[end] + 1:
            end += 1
        if end - at >= 2:
            out.append(f"{ordered[at]}-{ordered[end]}")
        else:
            out.extend(str(i) for i in ordered[at : end + 1])
        at = end + 1
    return ",".join(out)


def index_of(pod: Pod) -> int | None:
    text = pod.metadata.annotations.get(INDEX, "")
    return int(text) if text.isdigit() else None


def is_indexed(job: Job) -> bool:
    return job.spec.completionMode == "Indexed"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the failure policy says of a failed pod. action: Count, Ignore, FailJob, FailIndex."""

    action: str
    message: str = ""


def judge_failure(job: Job, pod: Pod) -> Verdict:
    policy = job.spec.podFailurePolicy
    if policy is None:
        return Verdict("Count")
    where = f"{pod.metadata.namespace}/{pod.metadata.name}"
    for i, rule in enumerate(policy.rules):
        found = ""
        if rule.onExitCodes is not None:
            match = _exit_code(pod, rule.onExitCodes)
            if match is not None:
                name, code = match
                found = (
                    f"Container {name} for pod {where} failed with exit code {code} "
                    f"matching {rule.action} rule at index {i}"
                )
        elif rule.onPodConditions:
            for pattern in rule.onPodConditions:
                if any(c.type == pattern.type and c.status == pattern.status for c in pod.status.conditions):
                    found = f"Pod {where} has condition {pattern.type} matching {rule.action} rule at index {i}"
                    break
        if found:
            return Verdict(rule.action, found)
    return Verdict("Count")


def _exit_code(pod: Pod, rule: PodFailurePolicyOnExitCodesRequirement) -> tuple[str, int] | None:
    for status in (*pod.status.containerStatuses, *pod.status.initContainerStatuses):
        ended = status.state.terminated
        if ended is None or ended.exitCode == 0:
            continue
        if rule.containerName is not None and rule.containerName != status.name:
            continue
        if (ended.exitCode in rule.values) == (rule.operator == "In"):
            return status.name, ended.exitCode
    return None


def matched_success(rules: Sequence[SuccessPolicyRule], succeeded: Collection[int]) -> str:
    """The message of the first success rule that holds; "" if none does."""
    for i, rule in enumerate(rules):
        counted = set(succeeded)
        wanted = parse_indexes(rule.succeededIndexes) if rule.succeededIndexes is not None else None
        if wanted is not None:
            counted &= wanted
        if rule.succeededCount is not None:
            if len(counted) >= rule.succeededCount:
                return f"Matched rules at index {i}"
        elif wanted is not None and counted == wanted:
            return f"Matched rules at index {i}"
    return ""


def finished_at(pod: Pod) -> float:
    """When the last container ended; 0 when no container says so."""
    times = [s.state.terminated.finishedAt for s in pod.status.containerStatuses if s.state.terminated is not None]
    seconds = [parse_rfc3339(t) for t in times if t]
    return max(seconds, default=0.0)


@dataclass(frozen=True, slots=True)
class Backoff:
    """Failures in a row since the last success, and when the last of them was."""

    failures: int = 0
    last: float = 0.0

    def after(self, succeeded: Iterable[float], failed: Iterable[float]) -> Backoff:
        """With pods that ended at these times."""
        last_success = max(succeeded, default=0.0)
        failures, last = (0, 0.0) if last_success > self.last else (self.failures, self.last)
        for at in sorted(failed):
            if at >= last_success:
                failures += 1
                last = max(last, at)
        return Backoff(failures, last)

    def until(self) -> float:
        """When the next pod may be created."""
        if not self.failures:
            return 0.0
        return self.last + min(BACKOFF_S[0] * 2.0 ** min(self.failures - 1, 10), BACKOFF_S[1])
