//! How clients and workers talk to a farm.
