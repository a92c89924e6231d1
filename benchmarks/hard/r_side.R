# Fit one mixture for programs.py.
# Rscript r_side.R package model K D folder seed [prior] [trace] [bic] [tol=...] [max_iter=...]
# Reads folder/x (doubles, column by column), and folder/query and folder/weights where they are.
# Prints lines "=name numbers", "warning text" and "error text".

given <- commandArgs(TRUE)
package <- given[1]; model <- given[2]; K <- as.integer(given[3]); D <- as.integer(given[4])
folder <- given[5]; flags <- given[-(1:6)]
option <- function(name, default) {
  found <- grep(paste0("^", name, "="), flags, value = TRUE)
  if (length(found)) as.numeric(sub(".*=", "", found)) else default
}
read <- function(name, columns) {
  file <- file.path(folder, name)
  if (!file.exists(file)) return(NULL)
  values <- readBin(file, "double", file.size(file) / 8)
  if (columns > 1) dim(values) <- c(length(values) / columns, columns)
  values
}
tell <- function(name, values) cat("=", name, " ", paste(sprintf("%.17g", as.numeric(values)), collapse = " "), "\n", sep = "")
status <- function(field) {  # of this process, in KiB; Linux only
  lines <- grep(field, readLines("/proc/self/status"), value = TRUE)
  as.numeric(gsub("[^0-9]", "", lines))
}
parameters <- function(pro, mean, covariance) {
  tell("weights", pro)
  tell("means", mean)                      # D x K, column by column: K rows of D
  tell("covariances", covariance)          # D x D x K
}

with_mclust <- function(x, weights, query) {
  if ("bic" %in% flags) {
    table <- mclustBIC(x, G = seq_len(K), modelNames = strsplit(model, ",")[[1]],
                       control = emControl(tol = c(1e-10, 1e-10)), verbose = FALSE)
    return(tell("bic", t(unclass(table)[, strsplit(model, ",")[[1]], drop = FALSE])))
  }
  prior <- if ("prior" %in% flags) priorControl() else NULL
  if (D == 1) model <- if (model == "EEE") "E" else "V"
  tol <- option("tol", NA)
  control <- emControl()
  if (!is.na(tol)) control <- emControl(tol = c(tol, tol))
  control$itmax[1] <- min(option("max_iter", Inf), control$itmax[1])
  fit <- if (is.null(weights)) {
    Mclust(x, G = K, modelNames = model, prior = prior, control = control, verbose = FALSE)
  } else {
    start <- hclass(hc(x), K)
    me.weighted(x, model, z = unmap(start), weights = weights, prior = prior, control = control)
  }
  if (is.null(fit) || anyNA(fit$parameters$pro)) stop("no model: the result is NULL or NA")
  variance <- fit$parameters$variance
  covariance <- if (D > 1) variance$sigma else rep_len(variance$sigmasq, K)
  parameters(fit$parameters$pro, fit$parameters$mean, covariance)
  if (!is.null(query)) tell("proba", t(predict(fit, query)$z))
}

with_mixtools <- function(x, weights, query) {
  arguments <- list(x, k = K, arbvar = as.logical(model))
  tol <- option("tol", NA)
  if (!is.na(tol)) arguments$epsilon <- tol * NROW(x)
  if (!is.na(option("max_iter", NA))) arguments$maxit <- option("max_iter", NA)
  invisible(capture.output(fit <- do.call(if (D == 1) normalmixEM else mvnormalmixEM, arguments)))
  deviations <- rep_len(fit$sigma, K)
  if (D == 1) parameters(fit$lambda, fit$mu, deviations^2)
  else parameters(fit$lambda, unlist(fit$mu), if (is.list(fit$sigma)) unlist(fit$sigma) else rep(fit$sigma, K))
  if ("trace" %in% flags) tell("trace", fit$all.loglik / NROW(x))
}

invisible(tryCatch(withCallingHandlers({
  set.seed(as.integer(given[6]) + 1)
  suppressPackageStartupMessages(library(package, character.only = TRUE))
  x <- read("x", D); weights <- read("weights", 1); query <- read("query", D)
  before <- if (file.exists("/proc/self/status")) status("VmRSS") else NA
  seconds <- system.time(
    switch(package, mclust = with_mclust, mixtools = with_mixtools)(x, weights, query)
  )["elapsed"]
  tell("seconds", seconds)
  if (!is.na(before)) tell("rss", c(before, status("VmHWM")))
}, warning = function(w) {
  cat("warning", gsub("\n", " ", conditionMessage(w)), "\n")
  invokeRestart("muffleWarning")
}), error = function(e) cat("error", gsub("\n", " ", conditionMessage(e)), "\n")))
