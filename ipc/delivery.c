#include "ipc/delivery.h"

bool
destination_is_files(uint32_t kind)
{
	return kind == DESTINATION_FOLDER || kind == DESTINATION_PREFIX;
}

bool
delivery_has_network(const struct delivery_config *delivery)
{
	for (uint32_t i = 0; i < delivery->count; i++)
		if (!destination_is_files(delivery->destination[i].kind))
			return true;
	return delivery->statsd_socket[0] || delivery->debuginfod_urls[0];
}
