/* Reads the files in pieces, so their size and their lines' length do not matter: what is looked for stands
 * at the beginning of a line, and the rest of a long one is skipped. */

#include "policy/accounts.h"

#include "ipc/fd.h"
#include "policy/owned_open.h"

#include <sys/stat.h>

#define CHUNK_BYTES 4096
#define LINE_BYTES                                                                              \
	512 /* kept of a line: name, password and ids; names have at most 32 bytes (useradd(8)) \
	     */

struct lines {
	int fd;
	size_t at, end; /* of the chunk */
	char chunk[CHUNK_BYTES];
	char line[LINE_BYTES];
};

struct account {
	struct span name; /* inside `lines` */
	uint32_t id, group;
};

/* How many bytes of the file are at hand, read anew when none are: 0 at its end, or -errno. */
static ssize_t
fill(struct lines *lines)
{
	if (lines->at == lines->end) {
		ssize_t count = read(lines->fd, lines->chunk, sizeof(lines->chunk));

		if (count < 0)
			return -errno;
		lines->at = 0;
		lines->end = (size_t)count;
	}
	return (ssize_t)(lines->end - lines->at);
}

/* 1 with the beginning of the next line, 0 at the end, or -errno. A last line needs no newline. */
static int
next_line(struct lines *lines, struct span *ret)
{
	size_t length = 0;
	bool any = false;
	ssize_t left;

	while ((left = fill(lines)) > 0) {
		char c = lines->chunk[lines->at++];

		any = true;
		if (c == '\n')
			break;
		if (length < sizeof(lines->line))
			lines->line[length++] = c;
	}
	if (left < 0)
		return (int)left;
	*ret = (struct span){lines->line, length};
	return any;
}

/* (uid_t)-1 means "leave it" to the system calls that change ids, so nobody has it. */
static int
parse_id(struct span text, uint32_t *ret)
{
	uint32_t id;
	int result = span_number(text, &id);

	if (result < 0)
		return result;
	if (id == UINT32_MAX)
		return -ERANGE;
	*ret = id;
	return 0;
}

/* name:password:id:..., for a user name:password:id:group:... A number counts only with the colon behind it:
 * without, it may have been cut off where we stopped to keep the line. */
static bool
parse_account(struct span line, bool is_user, struct account *ret)
{
	ret->name = span_take(&line, ':');
	(void)span_take(&line, ':'); /* the password */
	struct span id = span_take(&line, ':');
	if (!line.at || parse_id(id, &ret->id) < 0)
		return false;
	if (!is_user)
		return true;
	struct span group = span_take(&line, ':');
	return line.at && parse_id(group, &ret->group) == 0;
}

static int
find_account(int root, uid_t owner, bool is_user, struct span name, struct account *ret)
{
	uint32_t number;
	int not_a_number = parse_id(name, &number);

	if (not_a_number == -ERANGE)
		return -ERANGE;
	OWNED_FD etc = owned_open(root, "etc", S_IFDIR, owner);
	if (etc < 0)
		return etc;
	OWNED_FD file = owned_open(etc, is_user ? "passwd" : "group", S_IFREG, owner);
	if (file < 0)
		return file;

	struct lines lines = {.fd = file};
	struct span line = {0};
	int result;

	while ((result = next_line(&lines, &line)) > 0) {
		struct account account = {0};

		if (!parse_account(line, is_user, &account))
			continue;
		if (not_a_number ? span_equal(account.name, name) : account.id == number) {
			*ret = account;
			return 0;
		}
	}
	return result < 0 ? result : -ENOENT;
}

int
accounts_find_group(int root, uid_t owner, struct span name, gid_t *ret_gid)
{
	struct account account;
	int result = parse_id(name, ret_gid);

	if (result != -EINVAL)
		return result;
	result = find_account(root, owner, false, name, &account);
	if (result == 0)
		*ret_gid = account.id;
	return result;
}

int
accounts_find_user(int root, uid_t owner, struct span name, uid_t *ret_uid, gid_t *ret_gid)
{
	struct account account;
	int result = find_account(root, owner, true, name, &account);

	if (result < 0)
		return result;
	*ret_uid = account.id;
	*ret_gid = account.group;
	return 0;
}
