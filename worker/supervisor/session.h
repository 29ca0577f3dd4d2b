#pragma once
/* What the supervisor holds while a target is profiled. */

#include "ipc/log.h"
#include "ipc/rings.h"
#include "worker/perf/ring.h"
#include "worker/supervisor/broker.h"
#include "worker/supervisor/deliveries.h"
#include "worker/supervisor/fetch.h"
#include "worker/supervisor/pipeline.h"
#include "worker/supervisor/role_process.h"
#include "worker/supervisor/self_measure.h"

enum phase {
	PHASE_STARTING, /* nobody was told "ready" yet */
	PHASE_RUNNING,
	PHASE_FINISHING,  /* the target is gone (or we were told to stop): the last profile is being made */
	PHASE_DELIVERING, /* the last profile is made; what is queued is being sent */
	PHASE_OVER,
};

struct session {
	enum phase phase;
	struct worker_config config;
	struct log log;
	int launch;                /* until the target was executed; -1 afterwards */
	int wait;                  /* --wait: the waiting parent; -1 without */
	int folders[ROLE_FOLDERS]; /* the exporter's: output, spool, prefix; -1: there is none */
	int config_fd, delivery_fd, journal, signals;
	int kallsyms; /* the launcher's, for the symbolizer; -1: there is none */
	struct ring_set ring_set;
	struct perf_ring rings[MAX_RINGS]; /* mapped so that they outlive every unwinder */
	uint32_t watched_ring;             /* the first ring whose events have not hung up */
	struct role_process unwinder, symbolizer, exporter;
	struct broker *broker;
	struct fetch fetch;
	int64_t fetch_check_ms;
	struct pipeline *pipeline;
	struct self_measure measure; /* of us and the roles */
	struct deliveries deliveries;
	uint64_t working_on;                      /* the exporter's profile, as in WORKING; 0: none */
	uint64_t suspect, left_out[LEFT_OUT_MAX]; /* what an exporter died of once, and what more often */
	unsigned left_out_count;
	char container_id[CONTAINER_ID_MAX];
	int64_t next_export_ms;
	int64_t deadline_ms;     /* PHASE_FINISHING, PHASE_DELIVERING: give up then */
	int64_t grace_ends_ms;   /* PHASE_DELIVERING: all is handed over, this is how long it is sent; 0: not
				    yet */
	int64_t period_start_ns; /* CLOCK_REALTIME: of the profile being collected */
	uint64_t next_sequence;
	uint64_t kernel_count_ns, kernel_lost; /* accounted for by finished profiles */
	uint32_t level;                        /* of sampling; LEVEL_COUNT: as the events were opened */
	uint32_t kernel_frames;                /* enum kernel_frames */
	uint64_t kernel_offset;                /* as in START */
	uint32_t restarts;                     /* of the unwinder, since the last finished profile */
	bool unwinder_stopped;
	bool parent_waits_for_export; /* the waiting parent's target ended, others of its tree still run */
	uint64_t awaited_sequence;    /* ... and this profile is the one to report on */
	int64_t awaited_until_ms;     /* ... delivered or not; 0: it is not finished yet */
};

/* Receives the launcher's configuration and the rings from the opener. Returns enum failure, errno in
 * *ret_error: on failure the launcher must be told. */
int session_receive(struct session *session, int *ret_error);

/* Maps every ring and lets the opener go, who held them until now. Returns as above. */
int session_take_over(struct session *session, int *ret_error);

void session_close(struct session *session);
