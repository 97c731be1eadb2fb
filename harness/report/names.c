/* The names of verdicts and findings, as the JSON schema and the text report spell them. */
#include "report/report.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *pick(const char *const *names, size_t count, size_t index)
{
    return index < count ? names[index] : "unknown";
}

const char *pl_clause_verdict_name(enum pl_clause_verdict verdict)
{
    static const char *const names[] = {
        [PL_CLAUSE_NOT_JUDGED] = "not-judged",
        [PL_CLAUSE_NOT_EXERCISED] = "not-exercised",
        [PL_CLAUSE_PASS] = "pass",
        [PL_CLAUSE_FAIL] = "fail",
        [PL_CLAUSE_WARNING] = "warning",
        [PL_CLAUSE_NOT_OBSERVABLE] = "not-observable",
        [PL_CLAUSE_DECLARED] = "declared",
        [PL_CLAUSE_OPTION_USED] = "option-used",
        [PL_CLAUSE_OPTION_NOT_USED] = "option-not-used",
    };
    return pick(names, COUNT(names), (size_t)verdict);
}

const char *pl_arrow(const struct pl_trace_entry *entry)
{
    if (entry->device_side)
        return entry->to_iut ? "=>" : "<=";
    return entry->to_iut ? "->" : "<-";
}

const char *pl_scenario_verdict_name(enum pl_scenario_verdict verdict)
{
    static const char *const names[] = {
        [PL_SCENARIO_PASS] = "pass",
        [PL_SCENARIO_FAIL] = "fail",
        [PL_SCENARIO_INCONCLUSIVE] = "inconclusive",
        [PL_SCENARIO_SKIPPED] = "skipped",
        [PL_SCENARIO_ERROR] = "error",
    };
    return pick(names, COUNT(names), (size_t)verdict);
}

const char *pl_finding_kind_name(enum pl_finding_kind kind)
{
    static const char *const names[] = {
        [PL_FINDING_CLAUSE] = "clause",     [PL_FINDING_CRASH] = "crash",
        [PL_FINDING_HANG] = "hang",         [PL_FINDING_EXIT] = "exit",
        [PL_FINDING_PROTOCOL] = "protocol",
    };
    return pick(names, COUNT(names), (size_t)kind);
}
