//! Who may call: whoever shows the farm's token.
//!
//! The token comes as `authorization: Bearer TOKEN` with every call. Health is open to all, since probes carry no token.

use std::sync::Arc;
use std::task::{Context, Poll};

use gofarm_rpc::FarmToken;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::{HeaderMap, Request, Response, header::AUTHORIZATION};
use tonic::codegen::{BoxFuture, Service};
use tower::Layer;

/// The farm's token. Only its hash is kept: comparing hashes takes equally long whatever is shown, and tells nothing of
/// the token's length.
#[derive(Clone)]
pub struct Token(blake3::Hash);

impl Token {
    /// The one that callers have to show.
    pub fn of(token: &FarmToken) -> Token {
        Token(blake3::hash(token.word().as_bytes()))
    }

    /// `blake3::Hash` compares in constant time.
    fn is(&self, shown: &[u8]) -> bool {
        self.0 == blake3::hash(shown)
    }
}

/// What is asked of a caller. Cheap to clone.
#[derive(Clone)]
pub struct Access(Option<Arc<Token>>);

impl Access {
    /// With a token, only those who show it; without one, everyone.
    pub fn new(token: Option<Token>) -> Access {
        Access(token.map(Arc::new))
    }

    /// Whether a token is asked for.
    pub fn is_guarded(&self) -> bool {
        self.0.is_some()
    }

    /// Whether a call with these headers may go on.
    ///
    /// # Errors
    ///
    /// UNAUTHENTICATED, with what the caller can do.
    pub fn check(&self, headers: &HeaderMap) -> Result<(), Status> {
        let Some(token) = &self.0 else {
            return Ok(());
        };
        let Some(shown) = headers.get(AUTHORIZATION) else {
            return Err(Status::unauthenticated(
                "this farm asks for a token and the call has none; give it with --token-file or GOFARM_TOKEN",
            ));
        };
        match shown.as_bytes().strip_prefix(b"Bearer ") {
            Some(shown) if token.is(shown) => Ok(()),
            _ => Err(Status::unauthenticated(
                "the token is not that of this farm; compare --token-file or GOFARM_TOKEN with the scheduler's",
            )),
        }
    }
}

/// Puts the check before every gRPC service but health.
#[derive(Clone)]
pub struct AccessLayer(pub Access);

impl<S> Layer<S> for AccessLayer {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded {
            access: self.0.clone(),
            inner,
        }
    }
}

/// A service behind [`AccessLayer`].
#[derive(Clone)]
pub struct Guarded<S> {
    access: Access,
    inner: S,
}

impl<S> Service<Request<Body>> for Guarded<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<Response<Body>, S::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let open = request.uri().path().starts_with("/grpc.health.v1.Health/");
        if !open && let Err(refused) = self.access.check(request.headers()) {
            return Box::pin(async move { Ok(refused.into_http()) });
        }
        Box::pin(self.inner.call(request))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(AUTHORIZATION, value.parse().unwrap())])
    }

    #[test]
    fn only_the_token_opens() {
        let access = Access::new(Some(Token::of(
            &FarmToken::new(b" s3cret\n", "file").unwrap(),
        )));
        assert!(access.check(&headers("Bearer s3cret")).is_ok());
        for wrong in [
            "Bearer s3cre",
            "Bearer s3cret2",
            "Bearer ",
            "s3cret",
            "Basic s3cret",
        ] {
            let refused = access.check(&headers(wrong)).unwrap_err();
            assert_eq!(refused.code(), tonic::Code::Unauthenticated, "{wrong}");
        }
        let refused = access.check(&HeaderMap::new()).unwrap_err();
        assert!(refused.message().contains("--token-file"), "{refused}");
    }

    #[test]
    fn a_farm_without_a_token_is_open() {
        let access = Access::new(None);
        assert!(access.check(&HeaderMap::new()).is_ok());
        assert!(access.check(&headers("Bearer anything")).is_ok());
    }
}
