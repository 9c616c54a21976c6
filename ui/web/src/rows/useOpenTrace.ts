import { useNavigate } from '@tanstack/react-router'
import { useCallback } from 'react'
import type { Hit } from '../api/types'

/** From a line to its trace, at the span that it was written in. */
export function useOpenTrace(): (hit: Hit) => void {
  const navigate = useNavigate()
  return useCallback(
    (hit: Hit) => {
      if (hit.trace_id) void navigate({ to: '/traces/$id', params: { id: hit.trace_id }, search: hit.span_id ? { span: hit.span_id } : {} })
    },
    [navigate],
  )
}
