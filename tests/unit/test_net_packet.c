/* Unit tests of packets taken apart: headers, checksums, segments and fragments. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "peer/io_net_packet.h"

enum { ETHERNET = 14, V4 = 20, TCP = 20, UDP = 8, DATA = 250, MOST = 100, PIECES_MAX = 8 };

static uint8_t packet[512];
static size_t packet_len;

/* What came of one packet. */
static struct {
    uint8_t bytes[512];
    size_t len;
} piece[PIECES_MAX];
static size_t n_pieces;

static void keep(void *opaque, uint8_t *bytes, size_t len)
{
    (void)opaque;
    ck_assert_uint_lt(n_pieces, PIECES_MAX);
    memcpy(piece[n_pieces].bytes, bytes, len);
    piece[n_pieces++].len = len;
}

static unsigned get16(const uint8_t *p)
{
    return (unsigned)(p[0] << 8 | p[1]);
}

/* As the words of the standards have it: 16 bits at a time, with end-around carry. */
static unsigned ones(const uint8_t *bytes, size_t len, unsigned sum)
{
    for (size_t i = 0; i < len; i++) {
        sum += (unsigned)bytes[i] << (i % 2 ? 0 : 8);
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return sum;
}

static bool whole(const uint8_t *bytes, size_t len, size_t l3, uint8_t protocol)
{
    size_t l4 = l3 + V4;
    unsigned pseudo = ones(bytes + l3 + 12, 8, (unsigned)(protocol + len - l4));
    return ones(bytes + l3, V4, 0) == 0xffff && ones(bytes + l4, len - l4, pseudo) == 0xffff;
}

/* An IPv4 packet of this protocol at l3, with DATA bytes behind its transport header. */
static void make(size_t l3, uint8_t protocol)
{
    size_t header = protocol == 6 ? TCP : UDP;
    uint8_t *ip = packet + l3, *l4 = ip + V4;
    packet_len = l3 + V4 + header + DATA;
    ip[0] = 0x45;
    ip[2] = (uint8_t)((packet_len - l3) >> 8);
    ip[3] = (uint8_t)(packet_len - l3);
    ip[5] = 7; /* identification */
    ip[8] = 64;
    ip[9] = protocol;
    memcpy(ip + 12, "\xc0\0\2\1\xc0\0\2\2", 8);
    if (protocol == 6) {
        memcpy(l4, "\xd4\x31\0\x09\0\0\0\x01\0\0\0\x02\x50\x99\x10\0", 16); /* CWR, ACK, PSH, FIN */
    } else {
        memcpy(l4, "\xd4\x31\0\x09", 4);
        l4[4] = (uint8_t)((header + DATA) >> 8);
        l4[5] = (uint8_t)(header + DATA);
    }
    for (size_t i = 0; i < DATA; i++)
        l4[header + i] = (uint8_t)(i * 7);
}

static void begin(void)
{
    memset(packet, 0, sizeof(packet));
    packet[12] = 0x08;
    n_pieces = 0;
}

START_TEST(parses)
{
    struct pl_packet p;
    begin();
    make(ETHERNET, 6);
    ck_assert(pl_packet_parse(packet, packet_len, &p));
    ck_assert_uint_eq(p.l3, 14);
    ck_assert_uint_eq(p.l4, 34);
    ck_assert_uint_eq(p.data, 54);
    ck_assert(!p.v6 && !p.tunnel);
    for (size_t len = 0; len < 54; len++)
        ck_assert_msg(!pl_packet_parse(packet, len, &p), "%zu bytes are no packet", len);
    packet[20] = 0x20; /* a fragment has no transport header of its own */
    ck_assert(!pl_packet_parse(packet, packet_len, &p));
}
END_TEST

/* The checksum of 200 bytes 0x5a, from another implementation. */
START_TEST(checksum)
{
    static const char head[] = "\x45\0\0\xe4\0\1\0\0\x40\x11\xf6\x04\xc0\0\2\1\xc0\0\2\2"
                               "\xd4\x31\0\x09\0\xd0\0\0";
    struct pl_packet p;
    begin();
    memcpy(packet + ETHERNET, head, sizeof(head) - 1);
    memset(packet + 42, 0x5a, 200);
    ck_assert(pl_packet_parse(packet, 242, &p));
    ck_assert(!pl_packet_valid(&p, packet, 242));
    pl_packet_complete(&p, packet, 242, false);
    ck_assert_uint_eq(get16(packet + 40), 0x5ac4);
    ck_assert(pl_packet_valid(&p, packet, 242));
    packet[100] ^= 1;
    ck_assert(!pl_packet_valid(&p, packet, 242));
}
END_TEST

START_TEST(segments)
{
    struct pl_packet p;
    begin();
    make(ETHERNET, 6);
    ck_assert(pl_packet_parse(packet, packet_len, &p));
    ck_assert_int_eq(pl_packet_segment(&p, packet, packet_len, MOST, false, keep, NULL), 0);
    ck_assert_uint_eq(n_pieces, 3);
    for (size_t i = 0; i < n_pieces; i++) {
        const uint8_t *b = piece[i].bytes;
        size_t n = i < 2 ? MOST : DATA - 2 * MOST;
        ck_assert_uint_eq(piece[i].len, 54 + n);
        ck_assert_uint_eq(get16(b + 16), 40 + n);
        ck_assert_uint_eq(get16(b + 18), 7 + i);
        ck_assert_uint_eq(get16(b + 40), 1 + i * MOST); /* sequence number, lower half */
        ck_assert_uint_eq(b[47], (i == 0 ? 0x80 : 0) | (i == 2 ? 0x09 : 0) | 0x10);
        ck_assert(whole(b, piece[i].len, ETHERNET, 6));
        ck_assert_mem_eq(b + 54, packet + 54 + i * MOST, n);
    }
    ck_assert_int_lt(pl_packet_segment(&p, packet, packet_len, 0, false, keep, NULL), 0);
}
END_TEST

START_TEST(datagrams)
{
    struct pl_packet p;
    begin();
    make(ETHERNET, 17);
    ck_assert(pl_packet_parse(packet, packet_len, &p));
    ck_assert_int_eq(pl_packet_segment(&p, packet, packet_len, MOST, false, keep, NULL), 0);
    ck_assert_uint_eq(n_pieces, 3);
    for (size_t i = 0; i < n_pieces; i++) {
        ck_assert_uint_eq(get16(piece[i].bytes + 38), piece[i].len - 34);
        ck_assert(whole(piece[i].bytes, piece[i].len, ETHERNET, 17));
    }
}
END_TEST

/* Put together again the fragments are the datagram, with its checksum complete. */
START_TEST(fragments)
{
    struct pl_packet p;
    uint8_t again[512];
    begin();
    make(ETHERNET, 17);
    ck_assert(pl_packet_parse(packet, packet_len, &p));
    ck_assert_int_eq(pl_packet_fragment(&p, packet, packet_len, MOST, keep, NULL), 0);
    ck_assert_uint_eq(n_pieces, 3);
    for (size_t i = 0; i < n_pieces; i++) {
        unsigned field = get16(piece[i].bytes + 20);
        ck_assert_uint_eq((field & 0x1fff) * 8, i * 96);
        ck_assert_int_eq((field & 0x2000) != 0, i + 1 < n_pieces);
        ck_assert_uint_eq(ones(piece[i].bytes + ETHERNET, V4, 0), 0xffff);
        memcpy(again + i * 96, piece[i].bytes + 34, piece[i].len - 34);
    }
    ck_assert_mem_eq(again, packet + 34, packet_len - 34);
    ck_assert(pl_packet_valid(&p, packet, packet_len));
}
END_TEST

/* TCP in VXLAN: 8 bytes of UDP and 8 of its own between two Ethernet headers. */
START_TEST(tunnels)
{
    struct pl_packet p;
    begin();
    make(ETHERNET + V4 + UDP + 8 + ETHERNET, 6);
    size_t len = packet_len, inner = 64;
    packet[inner - 2] = 0x08;
    memcpy(packet + ETHERNET, "\x45\0\0\0\0\7\0\0\x40\x11\0\0\xc0\0\2\3\xc0\0\2\4", V4);
    memcpy(packet + 34, "\x12\xb5\x12\xb5", 4);
    ck_assert(!pl_packet_parse_tunnel(packet, len, 33, inner, &p));
    ck_assert(!pl_packet_parse_tunnel(packet, len, 34, len, &p));
    ck_assert(pl_packet_parse_tunnel(packet, len, 34, inner, &p));
    ck_assert_uint_eq(p.data, 104);
    for (unsigned outer = 0; outer < 2; outer++) {
        n_pieces = 0;
        ck_assert_int_eq(pl_packet_segment(&p, packet, len, MOST, outer != 0, keep, NULL), 0);
        ck_assert_uint_eq(n_pieces, 3);
        for (size_t i = 0; i < n_pieces; i++) {
            ck_assert(whole(piece[i].bytes, piece[i].len, inner, 6));
            ck_assert_uint_eq(get16(piece[i].bytes + 38), piece[i].len - 34);
            ck_assert_int_eq(get16(piece[i].bytes + 40) != 0, outer);
            if (outer)
                ck_assert(whole(piece[i].bytes, piece[i].len, ETHERNET, 17));
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("net_packet");
    TCase *cases = tcase_create("packets");
    tcase_add_test(cases, parses);
    tcase_add_test(cases, checksum);
    tcase_add_test(cases, segments);
    tcase_add_test(cases, datagrams);
    tcase_add_test(cases, fragments);
    tcase_add_test(cases, tunnels);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
