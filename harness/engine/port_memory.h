/* A port's shared memory, as the ring ends and the judges look at it. */
#ifndef PL_PORT_MEMORY_H
#define PL_PORT_MEMORY_H

#include "port/port.h"
#include "ring/ring.h"

static inline struct pl_ring_memory pl_port_memory(const struct pl_port *port)
{
    return (struct pl_ring_memory){
        .mem = port->mem, .base = port->mem_base, .size = port->mem_size, .parts = port->mem_parts};
}

#endif
