/* Numbers of the pcapng format that its writer and reader share. */
#ifndef PL_REPORT_PCAPNG_H
#define PL_REPORT_PCAPNG_H

#include "report/report.h"

#define PCAPNG_SECTION   0x0A0D0D0Au
#define PCAPNG_INTERFACE 1u
#define PCAPNG_SIMPLE    3u
#define PCAPNG_PACKET    6u

#define PCAPNG_BYTE_ORDER 0x1A2B3C4Du
#define PCAPNG_LINK_USER0 147u

#define PCAPNG_OPT_END      0u
#define PCAPNG_OPT_COMMENT  1u
#define PCAPNG_SHB_USERAPPL 4u
#define PCAPNG_IF_NAME      2u
#define PCAPNG_IF_DESC      3u
#define PCAPNG_IF_TSRESOL   9u
#define PCAPNG_EPB_FLAGS    2u
#define PCAPNG_EPB_PACKETID 5u

/* Direction as the harness's own interface sees it. */
#define PCAPNG_DIRECTION 3u
#define PCAPNG_INBOUND   1u
#define PCAPNG_OUTBOUND  2u

/* Bytes of a block before its options: type and length, then what the block has. */
#define PCAPNG_SECTION_HEAD   24u
#define PCAPNG_INTERFACE_HEAD 16u
#define PCAPNG_PACKET_HEAD    28u

/* What pl_pcapng_read does, on an open stream; `name` is for the error sentence. */
int pl_pcapng_read_stream(FILE *in, const char *name, const struct pl_pcapng_reader_ops *ops,
                          void *opaque, char *error, size_t cap);

#endif
