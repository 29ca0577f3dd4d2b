#pragma once
/* Profiles on disk until every destination has them: --spool. Survives every process of ours and the host.
 *
 * One file per profile, complete from the moment its name appears (temporary name, fsync, rename, fsync):
 *
 *     <key>-<end>-<launch>-<sequence>-<bytes>.ddprof
 *
 * key       of service and environment, 16 hexadecimal digits: whose it is, told without opening it
 * end       of the profile, nanoseconds since 1970, 20 digits: names sort by age
 * launch    the runtime id of the launch that made it
 * bytes     of the file
 *
 * Beside it, one empty file <name>+<destination> for every destination that has it while others have not.
 *
 * Whoever sends a file holds its lock (flock(2)), so that runs of one service share a folder; a run that died
 * holds none, and the next look finds its files. Nothing that is not ours is ever opened for writing, changed
 * or removed. */

#include "worker/export/format.h"

struct spool;
struct spool_file; /* one profile we hold the lock of */

#define SPOOL_WINDOW 64 /* profiles whose lock is held at a time; a descriptor each */
#define SPOOL_SENT_MAX 16

enum spool_loss {
	SPOOL_FULL, /* the oldest went because of the folder's size */
	SPOOL_OLD,  /* ... of its own age */
};

struct spool_settings {
	int folder; /* borrowed */
	const char *service, *environment,
		*runtime_id; /* of this launch; borrowed until spool_new() returns */
	uint64_t max_bytes, max_age_s;
	void *context;
	/* A profile is to be removed whose lock we hold. False: not now. */
	bool (*give_up)(void *context, struct spool_file *file);
	void (*lost)(void *context, enum spool_loss loss, bool is_own);
	/* A file that is not what its name says stays where it is: -EBADMSG, or why it cannot be read. Told
	 * once per file. */
	void (*skipped)(void *context, const char *name, int error);
};

struct spool_counts {
	uint64_t own, earlier; /* profiles of this launch, of others of the service */
	uint64_t bytes;
	int64_t oldest_ns; /* CLOCK_REALTIME; 0: none */
};

int spool_new(const struct spool_settings *settings, struct spool **ret); /* 0, -ENOMEM, -EINVAL */
void spool_free(struct spool *spool);

/* Writes a profile and holds its lock. The oldest make room if they must. 0 or -errno with nothing left
 * behind (ENOSPC, EDQUOT, EFBIG, EROFS...). */
int spool_store(struct spool *spool, const struct profile_facts *facts, const uint8_t *pprof, size_t size,
		int64_t now_ns, struct spool_file **ret);

/* Looks at the folder: applies the caps, and locks left-overs of the service, oldest first, as long as fewer
 * than SPOOL_WINDOW are held. `take` owns what it is given, with the destinations that have it already. 0 or
 * -errno. */
int spool_claim(struct spool *spool, int64_t now_ns,
		void (*take)(void *context, struct spool_file *file, const struct profile_facts *facts));

/* What the last look found, and what was stored and removed since. */
struct spool_counts spool_counts(const struct spool *spool);
size_t spool_held(const struct spool *spool);

/* Whether a profile of this launch is there, held by whomever. */
bool spool_has(struct spool *spool, uint64_t sequence);

/* ---- one file ---- */

/* The uncompressed pprof, malloc'ed. 0, -ENOMEM, -EBADMSG, -errno. */
int spool_file_read(const struct spool_file *file, uint8_t **ret_pprof, size_t *ret_size);

/* Which destinations have it: durable when this returns 0. */
int spool_file_mark(struct spool *spool, struct spool_file *file, uint64_t destination);
bool spool_file_is_marked(const struct spool_file *file, uint64_t destination);

void spool_file_remove(struct spool *spool, struct spool_file *file);  /* from disk too; frees it */
void spool_file_release(struct spool *spool, struct spool_file *file); /* lets go of it; frees it */

/* How marks tell destinations apart, whatever their order on the command line. */
uint64_t spool_destination(const struct delivery_destination *destination);
