#pragma once
/* The message contract between our processes, readable alone. Fixed-width structs, one SEQPACKET
 * datagram each: { struct message_head, body } plus descriptors by SCM_RIGHTS. Both ends are built from
 * this file and never talk across versions, so there is no negotiation.
 *
 *   launch channel    launcher -> opener      LAUNCH (request; config, output, [log], [wait] descriptors)
 *                     launcher <- opener or supervisor   ANSWER (exactly one counts: the first)
 *                     launcher -> supervisor  CANCEL (the target could not be executed); EOF = it was
 *   hand-over channel opener -> supervisor    SETUP (the launcher's descriptors), RINGS (batches)
 *                     opener <- supervisor    MAPPED
 *   control channel   supervisor -> role      START, RINGS, EXPORT, FINISH, PROFILE, DROP, FETCH
 *                     supervisor <- role      READY, PROFILE, LEVEL, JOURNAL (a memfd that replaces START's),
 *                                             ACCEPTED, SETTLED, DESTINATION, SPOOL, WORKING, STATUS,
 *                                             FETCHED
 *   broker channel    role -> supervisor      OPEN_MAPPING, OPEN_KNOWN, OPEN_DEBUG, OPEN_JIT
 *                     role <- supervisor      OPENED
 *                     unwinder -> supervisor  HOLD_JIT_MAP, HOLD_JIT_DUMP
 *                     unwinder <- supervisor  HELD
 *   wait channel      waiting parent -> supervisor  TARGET_ENDED
 *                     waiting parent <- supervisor  SUMMARY, or CANCEL when there was no target
 */

#include "ipc/self_report.h"

#include <stdint.h>

#define CHANNEL_MAX_FDS 253 /* SCM_MAX_FD: 254 descriptors in one message are EINVAL (unix(7)) */
#define MESSAGE_MAX_BODY 8192
#define MAX_CPUS 512
#define MAX_RINGS (2 * MAX_CPUS) /* one sample ring and one sideband ring per CPU */
/* Events of other levels of sampling, which write to the sample ring of their CPU: three levels on 32 CPUs. A
 * new thread of the target costs the kernel 1.3 KB and some microseconds for each event: larger machines pay
 * as much for their rings' events alone. */
#define MAX_OTHER_EVENTS 96
#define MAX_EVENTS (MAX_RINGS + MAX_OTHER_EVENTS)
#define MAX_PATH_BYTES 4096 /* PATH_MAX, with the NUL */
#define MAX_BUILD_ID 20     /* what PERF_RECORD_MMAP2 can carry (perf_event_open(2)) */

/* Descriptors every process of ours is started with. */
enum fixed_fd {
	FD_LAUNCH = 3,   /* opener, supervisor */
	FD_HANDOVER = 4, /* supervisor */
	FD_CONTROL = 3,  /* roles */
	FD_BROKER = 4,   /* unwinder, symbolizer */
	FD_OUTPUT = 4,   /* exporter: the folder profiles are written to, if there is one */
	FD_SPOOL = 5,    /* exporter: the folder where profiles wait for a destination, if there is one */
	FD_PREFIX = 6,   /* exporter: the folder of --debug_pprof_prefix, if there is one */
};

/* argv[2] of every process of the worker: room for what its sandbox got (worker/base/harden.h). */
#define SANDBOX_REPORT_BLANK "                                        "
#define SANDBOX_REPORT_BYTES (sizeof(SANDBOX_REPORT_BLANK) - 1)

enum message_kind {
	MESSAGE_LAUNCH = 1,
	MESSAGE_ANSWER,
	MESSAGE_CANCEL,
	MESSAGE_SETUP,
	MESSAGE_RINGS,
	MESSAGE_MAPPED,
	MESSAGE_START,
	MESSAGE_READY,
	MESSAGE_EXPORT,
	MESSAGE_FINISH,
	MESSAGE_PROFILE,
	MESSAGE_JOURNAL,
	MESSAGE_LEVEL,
	MESSAGE_DROP,
	MESSAGE_ACCEPTED,
	MESSAGE_SETTLED,
	MESSAGE_DESTINATION,
	MESSAGE_SPOOL,
	MESSAGE_WORKING,
	MESSAGE_STATUS,
	MESSAGE_OPEN_MAPPING,
	MESSAGE_OPEN_KNOWN,
	MESSAGE_OPEN_DEBUG,
	MESSAGE_OPENED,
	MESSAGE_TARGET_ENDED,
	MESSAGE_SUMMARY,
	MESSAGE_HOLD_JIT_MAP,
	MESSAGE_HOLD_JIT_DUMP,
	MESSAGE_HELD,
	MESSAGE_OPEN_JIT,
	MESSAGE_FETCH,
	MESSAGE_FETCHED,
};

struct message_head {
	uint32_t kind;
	uint32_t size; /* of the body */
};

/* Which of the launcher's descriptors come with LAUNCH and SETUP, in this order. */
enum launch_fd {
	LAUNCH_FD_CONFIG,   /* sealed memfd holding one struct worker_config */
	LAUNCH_FD_OUTPUT,   /* directory */
	LAUNCH_FD_LOG,      /* terminal, regular file, or connected syslog socket */
	LAUNCH_FD_WAIT,     /* --wait: our end of the wait channel */
	LAUNCH_FD_DELIVERY, /* sealed memfd of ipc/delivery.h: for the exporter's eyes only */
	LAUNCH_FD_SPOOL,    /* --spool: directory */
	LAUNCH_FD_PREFIX,   /* --debug_pprof_prefix: its directory */
	LAUNCH_FD_KALLSYMS, /* /proc/kallsyms, with the caller's right to see addresses in it */
	LAUNCH_FD_COUNT,
};

/* LAUNCH: all that the opener believes of the launcher, checked against policy/ before use. */
struct launch_request {
	uint32_t present; /* bit i: launch_fd i is attached */
	uint32_t event;   /* enum event_id of policy/events.h */
	uint32_t frequency_hz;
	uint32_t levels;        /* bit i: enum sampling_level i of policy/levels.h is wanted */
	uint32_t stack_bytes;   /* 0, or what samples copy instead of the size that belongs to their level */
	uint32_t kernel_frames; /* enum kernel_frames of policy/events.h; in SETUP: as it was granted */
};
_Static_assert(sizeof(struct launch_request) == 24, "wire layout");

/* ANSWER and MAPPED. failure: enum failure of ipc/failure.h, 0 = ready. */
struct answer {
	uint32_t failure;
	int32_t error; /* errno of the step that failed, or 0 */
};
_Static_assert(sizeof(struct answer) == 8, "wire layout");

/* RINGS: descriptors of one batch, each described in the same order. */
struct ring_description {
	uint16_t cpu;
	uint8_t event;      /* enum event_id */
	uint8_t level;      /* of a sample event: enum sampling_level */
	uint32_t data_size; /* bytes of ring data, a power of two; 0: it writes to its CPU's sample ring */
};
struct rings_message {
	uint32_t total; /* over all batches */
	uint32_t count; /* in this one */
	struct ring_description ring[CHANNEL_MAX_FDS];
};
_Static_assert(sizeof(struct rings_message) == 8 + 8 * CHANNEL_MAX_FDS, "wire layout");

/* How a stack's walk ended, as counted on the wire; same order as enum unwind_end. */
#define ENDINGS 7
#define ENDING_ROOT 0
#define ENDING_DEPTH 5 /* reached the root too, but has more frames than are kept */

#define SAMPLING_LEVELS 4 /* as enum sampling_level */
#define CHAIN_LEVEL 0     /* of these, the one at which the kernel walks too */

/* How the walks that ended in one file's code did. */
#define ENDING_MODULES 8 /* per profile and in the closing lines: those that lost most stacks */
#define MODULE_NAME_MAX 104
struct module_endings {
	char name[MODULE_NAME_MAX]; /* the end of its path; "": unused, and so are those after it */
	uint64_t ending[ENDINGS];
};

/* The account of one profile, or of a whole session. */
struct ledger {
	uint64_t samples;       /* records unwound */
	uint64_t lost;          /* samples the kernel dropped because a ring was full */
	uint64_t malformed;     /* records that did not have the layout we asked for */
	uint64_t unstored;      /* unwound, but aggregation had reached its memory limit */
	uint64_t sideband_lost; /* mappings, names, forks and exits likewise: code may show as unknown */
	uint64_t restarts;      /* unwinders that died: what they had read is missing in cpu_time_ns */
	uint64_t ending[ENDINGS];
	uint64_t level[SAMPLING_LEVELS]; /* of `samples`, by how much was copied */
	uint64_t cpu_time_ns;            /* sum of the sampled periods */
	uint64_t kernel_count_ns;        /* the events' own task-clock count, children included */
	uint64_t in_kernel_ns;           /* of that count: spent in the kernel, where no sample is taken */
	uint64_t unsampled_ns;           /* of that count: of tasks that ended before their next sample */
	uint64_t records;                /* read from the rings, of every kind; 0: not from rings */
	uint64_t unwind_ns;   /* the unwinder's CPU time for walking and storing stacks; 0: not measured */
	uint64_t frames;      /* found by those walks */
	uint64_t stack_bytes; /* copied with the samples */
};

/* START: what a fresh unwinder must know; descriptor: the sideband journal (a memfd). */
#define CONTAINER_ID_MAX 128
#define START_TAGS_MAX 5120
struct start_message {
	uint32_t period_ns;
	uint32_t target_pid;
	uint32_t discard;        /* its predecessor died on what is in the rings: skip that, and count it */
	uint32_t restarts;       /* deaths since the last finished profile */
	uint32_t unwind;         /* enum unwind_method */
	uint32_t has_symbolizer; /* else addresses of code that processes make would only tell where it was */
	uint32_t level; /* the last one LEVEL named; LEVEL_COUNT: none yet, events are as they were opened */
	uint32_t kernel_frames; /* enum kernel_frames */
	uint32_t padding;
	char container_id[CONTAINER_ID_MAX];
	char tags[START_TAGS_MAX]; /* "service:a,env:b,version:c,key:value": whom the profile is about */
	int64_t start_ns;          /* CLOCK_REALTIME: of the period it begins or continues */
	uint64_t sequence;         /* of the profile it will finish next */
	uint64_t kernel_count_ns, kernel_lost; /* session totals that earlier profiles account for */
	uint64_t kernel_offset;                /* as in OPENED; 0: nobody can name code of the kernel */
};

/* LEVEL: what the unwinder is about to sample at. */
struct level_message {
	uint32_t level, before; /* enum sampling_level */
};

/* The exporter's START; descriptors: the sealed configuration, and that of delivery. */
#define LEFT_OUT_MAX 8
struct exporter_start {
	char container_id[CONTAINER_ID_MAX];
	uint64_t left_out[LEFT_OUT_MAX]; /* profiles, as in WORKING, that ended its predecessors; 0: none */
};

/* The exporter's FINISH: the target is gone, and this is how long profiles are still worth sending. */
struct exporter_finish {
	uint32_t grace_ms;
};

/* PROFILE: one finished profile on its way to the exporter; the descriptor is a sealed memfd of pprof. */
struct profile_message {
	uint64_t sequence;
	int64_t start_ns, end_ns; /* CLOCK_REALTIME */
	uint32_t is_last;
	uint32_t inlined_functions;            /* the supervisor's word to the symbolizer: read DWARF */
	uint32_t accepted;                     /* ... to the exporter; bit i: destination i has it */
	uint64_t kernel_count_ns, kernel_lost; /* session totals, for the next unwinder's START */
	struct ledger ledger;
	struct module_endings module[ENDING_MODULES]; /* most lost stacks first */
	struct self_report self; /* the supervisor's word to the exporter; zeroed: not measured */
};

/* DROP: the supervisor keeps that profile no longer; SETTLED: nor need it, all destinations have it, or it is
 * in the spool. */
struct profile_reference {
	uint64_t sequence;
};

#define PROFILE_NAME_MAX 256
/* ACCEPTED: a destination has a profile. */
struct accepted_message {
	uint64_t sequence;
	uint64_t bytes; /* that were sent or written */
	uint32_t destination;
	uint32_t is_own;             /* 0: of an earlier run, found in the spool */
	char name[PROFILE_NAME_MAX]; /* of the file, if it is one, below its folder */
};

/* DESTINATION: it answers otherwise than before. Once per destination at the start, to say what there is. */
enum destination_state {
	DESTINATION_UNTRIED,
	DESTINATION_ACCEPTS,
	DESTINATION_FAILS,           /* passes: asked again with a backoff */
	DESTINATION_REFUSES,         /* takes none from us: asked again slowly */
	DESTINATION_REFUSES_PROFILE, /* not that one: set aside */
	DESTINATION_STATES,
};
#define DESTINATION_NAME_MAX 160
#define DESTINATION_WORDS_MAX 256
struct destination_message {
	uint32_t destination; /* its index, below DESTINATIONS_MAX of ipc/delivery.h */
	uint32_t kind;        /* enum destination_kind */
	uint32_t state;
	int32_t status;    /* of HTTP; 0: none */
	uint32_t failures; /* in a row; once may pass before anybody cares */
	uint32_t waiting;  /* profiles it does not have */
	char name[DESTINATION_NAME_MAX];
	char words[DESTINATION_WORDS_MAX]; /* why: the server's, or the error's */
};

/* SPOOL: what became of the folder, or of a file in it. */
enum spool_event {
	SPOOL_EVENT_WORKS,
	SPOOL_EVENT_FAILS, /* profiles stay in memory */
	SPOOL_EVENT_SKIPPED,
	SPOOL_EVENT_LOST_FULL, /* the oldest went */
	SPOOL_EVENT_LOST_OLD,
	SPOOL_EVENTS,
};
#define SPOOL_FILE_NAME_MAX 160
struct spool_message {
	uint32_t event;
	int32_t error; /* errno */
	uint32_t is_own;
	char name[SPOOL_FILE_NAME_MAX];
};

/* WORKING: the exporter is about to handle a profile's bytes, or is done (0). Dying in between is the
 * profile's fault. */
struct working_message {
	uint64_t profile; /* a hash of launch and sequence */
};

/* STATUS: after whatever else the exporter had to say. */
struct status_message {
	uint64_t taken; /* messages of the supervisor since START that are handled */
	uint64_t waiting;
	uint64_t spool_own, spool_earlier; /* profiles in the spool: of this launch, of others */
	uint64_t spool_bytes;
	uint32_t has_hope; /* some of what waits may still be accepted within the grace */
	uint32_t padding;
};

/* OPEN_MAPPING: the file behind one executable mapping, described as PERF_RECORD_MMAP2 did. */
struct open_mapping {
	uint32_t pid;
	uint32_t first_candidate; /* 0; after a wrong file, one more than what OPENED named */
	uint32_t padding;
	uint32_t build_id_size; /* 0: identified by device and inode instead */
	uint32_t device_major, device_minor;
	uint64_t inode;
	uint8_t build_id[MAX_BUILD_ID];
	char path[MAX_PATH_BYTES];
};
/* OPEN_KNOWN: a file that was opened before for a mapping. */
struct open_known {
	char path[MAX_PATH_BYTES];
	char build_id[2 * MAX_BUILD_ID + 1]; /* lower-case hex or "" */
};
/* OPEN_DEBUG: a separate debug file of a file that was opened before for a mapping; with OPEN_KNOWN and
 * OPEN_JIT all that is ever opened for the symbolizer. */
enum debug_way {
	DEBUG_BY_BUILD_ID, /* name: lower-case hex; in the folder of build ids */
	DEBUG_BY_LINK, /* name: of a file beside the module, in its .debug, or in the debug folder's copy */
	DEBUG_BY_DWZ,  /* name: what follows ".dwz/" in .gnu_debugaltlink; in the debug folder's .dwz */
	DEBUG_BY_UNIT, /* name: absolute path of a .dwo (or .o) file that a compiler wrote; there, or beside
			  the module */
	DEBUG_WAYS,
};
#define DEBUG_NAME_MAX 1024
/* As first_candidate, with DEBUG_BY_BUILD_ID: not from this host, but from a debuginfod server. EAGAIN:
 * perhaps the next time. */
#define DEBUG_CANDIDATE_FETCHED 1000
struct open_debug {
	struct open_known module;
	uint32_t way;
	uint32_t first_candidate; /* as in open_mapping */
	char name[DEBUG_NAME_MAX];
};
/* HOLD_JIT_MAP: a process that makes code has been seen. What it writes about that code (/tmp/perf-PID.map)
 * is to be kept open, for it may be gone when the profile is made; the unwinder itself has no use for it. */
struct hold_jit_map {
	uint32_t pid;
};
/* HOLD_JIT_DUMP: a process mapped its jitdump, by which it says where that is; struct open_mapping. */
/* HELD: 0; ENOENT: there is no such file (yet). */
struct held {
	int32_t error;
};
/* OPEN_JIT: one of these files. */
enum jit_file {
	JIT_PERF_MAP,
	JIT_DUMP,
	JIT_FILES,
};
struct open_jit {
	uint32_t pid;  /* JIT_PID_OF_KERNEL, JIT_PERF_MAP: /proc/kallsyms */
	uint32_t file; /* enum jit_file */
};
#define JIT_PID_OF_KERNEL 0
/* OPENED: error 0 comes with exactly one descriptor. */
struct opened {
	int32_t error;
	uint32_t candidate; /* OPEN_MAPPING, OPEN_DEBUG: which of the places it may be found at */
	/* OPEN_JIT of the kernel: what was added to its addresses where a profile has them, which is the
	 * secret of this session: should such a profile get out without names, it does not tell them. */
	uint64_t kernel_offset;
};

/* FETCH: the exporter is to ask debuginfod servers for the debug file of a build id (lower-case hex). One at
 * a time. */
struct fetch_message {
	char build_id[2 * MAX_BUILD_ID + 1];
};
/* FETCHED: error 0 comes with a sealed memfd; else ENOENT (no server has it) or another errno. */
struct fetched_message {
	int32_t error;
	char build_id[2 * MAX_BUILD_ID + 1];
};

/* SUMMARY: what the closing line says. */
#define SUMMARY_DESTINATIONS 8 /* DESTINATIONS_MAX of ipc/delivery.h */
struct summary_destination {
	uint32_t kind; /* enum destination_kind */
	uint32_t padding;
	uint64_t delivered, earlier; /* profiles of this session, of earlier ones */
	char name[DESTINATION_NAME_MAX];
	char problem[DESTINATION_WORDS_MAX]; /* why the last one was not accepted; "" if it was */
};
struct summary_message {
	struct ledger ledger;
	struct module_endings module[ENDING_MODULES];
	struct self_report self;   /* its period is the whole session */
	uint64_t profiles;         /* finished */
	uint64_t spooled;          /* of them, what is in the spool for the next run */
	uint64_t dropped;          /* of them, what had to make room, or waited in memory to the end */
	uint32_t unwinder_stopped; /* the unwinder died too often; profiling ended early */
	uint32_t destinations;
	struct summary_destination destination[SUMMARY_DESTINATIONS];
	char last_name[PROFILE_NAME_MAX]; /* of a file in the output folder */
};

/* What the launcher knows and the worker needs; strings are NUL-terminated. */
#define CONFIG_TEXT 256
struct worker_config {
	uint32_t log_level; /* enum log_level of ipc/log_level.h */
	uint32_t upload_period_s;
	uint32_t target_pid;
	uint32_t period_ns;     /* CPU time per sample */
	uint32_t unwind;        /* enum unwind_method */
	uint32_t log_is_syslog; /* LAUNCH_FD_LOG is a syslog(3) datagram socket */
	uint32_t inlined_functions;
	uint32_t disable_symbolization; /* there is no symbolizer then */
	uint32_t debuginfod;            /* debug files that are not here are asked for over the network */
	uint32_t has_network;           /* delivery_has_network() of ipc/delivery.h */
	char service[CONFIG_TEXT], environment[CONFIG_TEXT], version[CONFIG_TEXT];
	char tags[4096];
	uint32_t export_grace_s;     /* after the target's end, for what is not delivered yet */
	char output[MAX_PATH_BYTES]; /* as named by the caller, for messages only */
	char spool[MAX_PATH_BYTES];  /* likewise; "" without */
};

_Static_assert(sizeof(struct open_mapping) <= MESSAGE_MAX_BODY, "fits one message");
_Static_assert(sizeof(struct open_debug) <= MESSAGE_MAX_BODY, "fits one message");
_Static_assert(sizeof(struct open_jit) == 8, "wire layout");
_Static_assert(sizeof(struct rings_message) <= MESSAGE_MAX_BODY, "fits one message");
_Static_assert(sizeof(struct summary_message) <= MESSAGE_MAX_BODY, "fits one message");
