//! PVM2 program image: keys, slot paths, mappings, endpoints, wire form and addresses
#![forbid(unsafe_code)]
