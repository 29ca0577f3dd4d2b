/* The doctor: looks at everything that decides whether profiling works, tries it, and names one fix. */

#include "launcher/audit/audit.h"
#include "launcher/audit/situation.h"
#include "launcher/audit/trial.h"

#include <string.h>

/* In the order in which they stand in the way: the first failure is the reason, and its fix the smallest. */
static void (*const checks[])(const struct situation *, struct findings *) = {
	check_paranoid,         check_perf_event_open, check_seccomp,
	check_security_modules, check_opener,          check_open_files,
	check_user_namespace,   check_privilege,       check_mount,
	check_no_new_privs,     check_bounding_set,    check_own_capabilities,
	check_identity,         check_suid_dumpable,   check_policy,
	check_worker_files,     check_locked_memory,   check_proc,
	check_output,           check_environment,
};

struct conclusion {
	bool works;
	char text[FINDING_TEXT_MAX + 64], fix[FINDING_TEXT_MAX];
};

/* ddprof-launch says "not profiling: REASON; FIX", or how much it sampled; "; profile: ..." is gone by now.
 */
static void
add_trial(const struct trial *trial, struct findings *findings)
{
	static const char refusal[] = "not profiling: ";
	char words[TRIAL_WORDS_MAX];
	const char *fix = NULL;

	snprintf(words, sizeof(words), "%s", trial->words);
	char *behind = trial->works ? strstr(words, "; profile: ") : strstr(words, "; ");
	if (behind) {
		*behind = '\0';
		bool is_reason = !trial->works && !findings_first_failure(findings);

		fix = is_reason ? behind + strlen("; ") : NULL; /* else the first failure has a smaller one */
	}
	bool is_refusal = strncmp(words, refusal, strlen(refusal)) == 0;
	findings_add(findings, "trial", trial->works ? FINDING_OK : FINDING_FAIL, fix, "%s",
		     words + (is_refusal ? strlen(refusal) : 0));
}

static void
conclude(const struct findings *findings, bool works, struct conclusion *ret)
{
	const struct finding *trial = &findings->at[findings->count - 1];
	const struct finding *reason = works ? trial : findings_first_failure(findings);

	ret->works = works;
	snprintf(ret->text, sizeof(ret->text), "%s%s%s", reason == trial ? "" : reason->name,
		 reason == trial ? "" : ": ", reason->text);
	snprintf(ret->fix, sizeof(ret->fix), "%s", works ? "" : reason->fix);
}

int
check_main(const char *format)
{
	static struct situation situation;
	static struct findings findings;
	struct trial trial;
	struct conclusion conclusion;
	bool is_json = format && strcmp(format, "--json") == 0;

	if (format && !is_json) {
		fprintf(stderr, "ddprof-launch: --check takes nothing but --json\n");
		return AUDIT_EXIT_USAGE;
	}
	situation_read(&situation);
	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
		checks[i](&situation, &findings);
	trial_run(&trial);
	add_trial(&trial, &findings);
	conclude(&findings, trial.works, &conclusion);
	if (is_json)
		return findings_print_json(&findings, conclusion.works, conclusion.text, conclusion.fix,
					   stdout) < 0 ||
		       !conclusion.works;
	findings_print(&findings, stdout, 0);
	printf("\nprofiling %s: %s%s%s\n", conclusion.works ? "works" : "does not work", conclusion.text,
	       conclusion.fix[0] ? "; smallest fix: " : "", conclusion.fix);
	return conclusion.works ? 0 : 1;
}
