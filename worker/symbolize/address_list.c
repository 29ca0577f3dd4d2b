#include "worker/symbolize/address_list.h"

static void
sift_down(uint64_t *heap, size_t at, size_t count)
{
	uint64_t value = heap[at];

	for (size_t child; (child = 2 * at + 1) < count; at = child) {
		if (child + 1 < count && heap[child] < heap[child + 1])
			child++;
		if (value >= heap[child])
			break;
		heap[at] = heap[child];
	}
	heap[at] = value;
}

/* In place: glibc's qsort asks the kernel for the machine's memory, which our filter forbids. */
static void
sort(uint64_t *values, size_t count)
{
	for (size_t i = count / 2; i > 0; i--)
		sift_down(values, i - 1, count);
	for (size_t end = count; end > 1; end--) {
		uint64_t largest = values[0];

		values[0] = values[end - 1];
		values[end - 1] = largest;
		sift_down(values, 0, end - 1);
	}
}

size_t
address_list_sort(uint64_t *addresses, size_t count)
{
	size_t kept = 0;

	sort(addresses, count);
	for (size_t i = 0; i < count; i++)
		if (kept == 0 || addresses[i] != addresses[kept - 1])
			addresses[kept++] = addresses[i];
	return kept;
}

bool
address_list_find(const uint64_t *addresses, size_t count, uint64_t address, size_t *ret)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (addresses[middle] < address)
			low = middle + 1;
		else
			high = middle;
	}
	*ret = low;
	return low < count && addresses[low] == address;
}

size_t
address_list_count(const uint64_t *addresses, size_t count, size_t index, uint64_t start, uint64_t size)
{
	size_t end = count;

	if (size <= UINT64_MAX - start)
		(void)address_list_find(addresses, count, start + size, &end);
	return end - index;
}
