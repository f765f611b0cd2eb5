//! The token that every call carries.

use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::{Request, Status};

use crate::token::FarmToken;

/// Adds `authorization: Bearer TOKEN` to each call, when there is a token.
#[derive(Clone)]
pub struct Authorization {
    header: Option<MetadataValue<Ascii>>,
}

// The token itself stays out of every log.
impl std::fmt::Debug for Authorization {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authorization")
            .field("token", &self.is_set())
            .finish()
    }
}

impl Authorization {
    pub(crate) fn new(token: Option<&FarmToken>) -> Authorization {
        Authorization {
            header: token.map(|token| token.header().clone()),
        }
    }

    pub(crate) fn is_set(&self) -> bool {
        self.header.is_some()
    }
}

impl Interceptor for Authorization {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(header) = &self.header {
            request
                .metadata_mut()
                .insert("authorization", header.clone());
        }
        Ok(request)
    }
}
